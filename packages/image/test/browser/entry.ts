/** Runs in the page: reads pictures from everything a browser has, and answers with pixels in base64. */
import {
  clipPreprocessor,
  encodePng,
  type Image,
  type ImageSource,
  preprocess,
  type ReadOptions,
  readImage,
  simclrAugment,
  toCanvas,
  toImageData,
} from "../../src/index.ts";

export type Answer = { width: number; height: number; channels: number; data: string } | { name: string; code: string };

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

function base64Of(data: Uint8Array | Uint8ClampedArray): string {
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text);
}

async function answer(read: () => Image | Promise<Image>): Promise<Answer> {
  try {
    const { width, height, channels, data } = await read();
    return { width, height, channels, data: base64Of(data) };
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    return { name, code };
  }
}

/** Files by name, decoded one after the other. */
export async function decode(
  files: readonly { name: string; file: string }[],
  options: ReadOptions,
): Promise<Record<string, Answer>> {
  const answers: Record<string, Answer> = {};
  for (const { name, file } of files) answers[name] = await answer(() => readImage(bytesOf(file), options));
  return answers;
}

async function loaded(src: string): Promise<HTMLImageElement> {
  const element = document.createElement("img");
  element.src = src;
  await element.decode();
  return element;
}

function drawn(element: HTMLImageElement): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = element.naturalWidth;
  canvas.height = element.naturalHeight;
  canvas.getContext("2d")!.drawImage(element, 0, 0);
  return canvas;
}

/** The same opaque picture from every kind of source. */
export async function sources(png: string): Promise<Record<string, Answer>> {
  const bytes = bytesOf(png);
  const element = await loaded("cat.png");
  const canvas = drawn(element);
  const { width, height } = canvas;
  const offscreen = new OffscreenCanvas(width, height);
  offscreen.getContext("2d")!.drawImage(canvas, 0, 0);
  const all: Record<string, ImageSource> = {
    "a path": "cat.png",
    "a URL": new URL("cat.png", location.href),
    "a data URL": `data:image/png;base64,${png}`,
    "a blob URL": URL.createObjectURL(new Blob([bytes])),
    bytes,
    "an ArrayBuffer": bytes.buffer,
    "a Blob": new Blob([bytes]),
    "a File": new File([bytes], "cat.png"),
    "an <img>": element,
    "a <canvas>": canvas,
    "an OffscreenCanvas": offscreen,
    "an ImageData": canvas.getContext("2d")!.getImageData(0, 0, width, height),
    "an ImageBitmap": await createImageBitmap(canvas),
    "a VideoFrame": new VideoFrame(canvas, { timestamp: 0 }),
  };
  const answers: Record<string, Answer> = {};
  for (const [name, source] of Object.entries(all)) answers[name] = await answer(() => readImage(source));
  return answers;
}

/** What a page can do wrong, and what only a page can meet. `elsewhere`: a picture of another site. */
export async function failures(elsewhere: string): Promise<Record<string, Answer>> {
  const canvas = new OffscreenCanvas(2, 2);
  canvas.getContext("2d");
  const bitmap = await createImageBitmap(canvas);
  bitmap.close();
  const frame = new VideoFrame(canvas, { timestamp: 0 });
  frame.close();
  const foreign = await loaded(elsewhere);
  const svg = new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2"/>');
  return {
    "a closed ImageBitmap": await answer(() => readImage(bitmap)),
    "a closed VideoFrame": await answer(() => readImage(frame)),
    "an <img> of another site": await answer(() => readImage(foreign)),
    "a tainted canvas": await answer(() => readImage(drawn(foreign))),
    "an <img> that has not loaded": await answer(() => readImage(document.createElement("img"))),
    "a missing file": await answer(() => readImage("missing.png")),
    "an error page": await answer(() => readImage("index.html")),
    "SVG unasked": await answer(() => readImage(svg)),
    "SVG on request": await answer(() => readImage(svg, { svg: { width: 8 } })),
  };
}

/** Pixels to a canvas, an ImageData and a PNG, and back. */
export async function roundTrips(image: Image): Promise<Record<string, Answer>> {
  const whole = { ...image, data: Uint8Array.from(Object.values(image.data)) };
  const canvas = document.createElement("canvas");
  return {
    "an OffscreenCanvas": await answer(() => readImage(toCanvas(whole))),
    "a <canvas>": await answer(() => readImage(toCanvas(whole, canvas))),
    "an ImageData": await answer(() => readImage(toImageData(whole))),
    "a PNG": await answer(async () => readImage(await encodePng(whole))),
  };
}

/** Model input of a file, as the bits of its floats, and a random change of it. */
export async function prepared(png: string, key: number): Promise<{ input: string; augmented: Answer }> {
  const values = await (await preprocess(bytesOf(png), clipPreprocessor)).data();
  const { buffer, byteOffset, byteLength } = values as Float32Array;
  return {
    input: base64Of(new Uint8Array(buffer, byteOffset, byteLength)),
    augmented: await answer(async () => simclrAugment(32)(await readImage(bytesOf(png)), key)),
  };
}
