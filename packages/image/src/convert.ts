import type { Image } from "./image.ts";

/** Three channels: grey is repeated, alpha is dropped, as Pillow's `convert("RGB")` does. */
export function toRgb(image: Image): Image {
  if (image.channels === 3) return image;
  const step = image.channels;
  const pixels = image.width * image.height;
  const data = new Uint8ClampedArray(pixels * 3);
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += step, to += 3) {
    data[to] = image.data[from]!;
    data[to + 1] = image.data[step === 1 ? from : from + 1]!;
    data[to + 2] = image.data[step === 1 ? from : from + 2]!;
  }
  return { ...image, channels: 3, data };
}

/** Four channels; alpha is opaque where there was none. */
export function toRgba(image: Image): Image {
  if (image.channels === 4) return image;
  const step = image.channels;
  const pixels = image.width * image.height;
  const data = new Uint8ClampedArray(pixels * 4);
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += step, to += 4) {
    data[to] = image.data[from]!;
    data[to + 1] = image.data[step === 1 ? from : from + 1]!;
    data[to + 2] = image.data[step === 1 ? from : from + 2]!;
    data[to + 3] = 255;
  }
  return { ...image, channels: 4, data };
}

/** One channel of luma (ITU-R 601, Pillow's 16-bit weights): (19595 R + 38470 G + 7471 B + 2^15) / 2^16. */
export function toGray(image: Image): Image {
  if (image.channels === 1) return image;
  const step = image.channels;
  const pixels = image.width * image.height;
  const data = new Uint8ClampedArray(pixels);
  for (let i = 0, from = 0; i < pixels; i++, from += step) {
    data[i] = luma(image.data[from]!, image.data[from + 1]!, image.data[from + 2]!);
  }
  return { ...image, channels: 1, data };
}

/** Luma of one pixel, 0 to 255. */
export function luma(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}
