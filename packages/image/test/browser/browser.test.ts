import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPage, type TestPage } from "../../../../tools/testing/browser.mjs";
import { clipPreprocessor, preprocess, readImage, simclrAugment } from "../../src/index.ts";
import { fixture, png } from "../files.ts";
import { source } from "../source.ts";
import type { Answer } from "./entry.ts";

type Row = { name: string; file: string };
const { rows } = JSON.parse(readFileSync(new URL("../fixtures/files.json", import.meta.url), "utf8")) as {
  rows: Row[];
};
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const cat = fixture("png-rgb");
let page: TestPage;

beforeAll(async () => {
  page = await openPage({
    entry: new URL("./entry.ts", import.meta.url),
    webgpu: false,
    // Pictures of another site load, as in most pages; reading them is another matter.
    isolated: false,
    handle: (request, response) => {
      if (request.url !== "/cat.png") return false;
      response.setHeader("Content-Type", "image/png");
      response.end(cat);
      return true;
    },
  });
}, 120_000);
afterAll(() => page?.close());

/** Greatest difference of a channel. */
function difference(answer: Answer | undefined, want: ArrayLike<number>): number {
  if (answer === undefined || !("data" in answer)) throw new Error(`no pixels: ${JSON.stringify(answer)}`);
  const got = Buffer.from(answer.data, "base64");
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  return got.reduce((worst, value, i) => Math.max(worst, Math.abs(value - want[i]!)), 0);
}

describe("a browser", () => {
  it("decodes every fixture file to the pixels that Node has", async () => {
    const answers = await page.call<Record<string, Answer>>("decode", rows, {});
    for (const { name, file } of rows) {
      const want = await readImage(new Uint8Array(Buffer.from(file, "base64")));
      // JPEG, WebP and AVIF are the platform's decoders, whose roundings differ; CMYK is converted by a formula of theirs.
      const lossy = /jpeg|webp|avif/.test(name) && !name.includes("lossless");
      const limit = name === "jpeg-cmyk" ? 40 : lossy ? 4 : 0;
      expect([name, difference(answers[name], want.data)]).toEqual([name, expect.toSatisfy((d: number) => d <= limit)]);
    }
  });

  it("reads the same picture from every source there is", async () => {
    const answers = await page.call<Record<string, Answer>>("sources", base64(cat));
    const want = await readImage(cat);
    for (const [name, answer] of Object.entries(answers)) {
      // A frame of video may hold luma and chroma instead of colours.
      expect([name, difference(answer, want.data)]).toEqual([name, expect.toSatisfy((d: number) => d <= 0)]);
    }
    expect(Object.keys(answers)).toHaveLength(14);
  });

  it("names what is wrong", async () => {
    const elsewhere = `${page.url.replace("127.0.0.1", "localhost")}cat.png`;
    expect(await page.call("failures", elsewhere)).toMatchObject({
      "a closed ImageBitmap": { name: "DisposedError", code: "IM_CLOSED" },
      "a closed VideoFrame": { name: "DisposedError", code: "IM_CLOSED" },
      "an <img> of another site": { name: "ImageDecodeError", code: "IM_CORS" },
      "a tainted canvas": { name: "ImageDecodeError", code: "IM_CORS" },
      "an <img> that has not loaded": { name: "ShapeError", code: "IM_DIMENSION" },
      "a missing file": { name: "NetworkError", code: "IM_HTTP" },
      "an error page": { name: "ImageDecodeError", code: "IM_FORMAT" },
      "SVG unasked": { name: "ImageDecodeError", code: "IM_UNSUPPORTED" },
      "SVG on request": { width: 8, height: 4 },
    });
  });

  it("refuses damaged and oversized files as Node does", async () => {
    const files = [
      { name: "cut JPEG", file: base64(fixture("jpeg").subarray(0, 300)) },
      { name: "cut PNG", file: base64(cat.subarray(0, cat.length - 60)) },
      { name: "bomb", file: base64(png(50_000, 50_000, { bits: 1, color: 0 })) },
      { name: "text", file: base64(Buffer.from("words and nothing else")) },
    ];
    const answers = await page.call<Record<string, Answer>>("decode", files, {});
    expect(answers).toEqual({
      "cut JPEG": { name: "ImageDecodeError", code: "IM_TRUNCATED" },
      "cut PNG": { name: "ImageDecodeError", code: "IM_TRUNCATED" },
      bomb: { name: "ImageLimitError", code: "IM_PIXELS" },
      text: { name: "ImageDecodeError", code: "IM_FORMAT" },
    });
  });

  it("gives pixels back: canvas, ImageData, PNG", async () => {
    const image = source(9, 7, 3, 5);
    const answers = await page.call<Record<string, Answer>>("roundTrips", { ...image, data: [...image.data] });
    expect(Object.keys(answers)).toHaveLength(4);
    for (const [name, answer] of Object.entries(answers)) {
      expect([name, difference(answer, image.data)]).toEqual([name, 0]);
    }
  });

  it("makes the same model input and the same random changes, bit for bit", async () => {
    const { input, augmented } = await page.call<{ input: string; augmented: Answer }>("prepared", base64(cat), 7);
    const values = (await (await preprocess(cat, clipPreprocessor)).data()) as Float32Array;
    expect(Buffer.compare(Buffer.from(input, "base64"), Buffer.from(Float32Array.from(values).buffer))).toBe(0);
    expect(difference(augmented, simclrAugment(32)(await readImage(cat), 7).data)).toBe(0);
    expect(page.errors.filter((text) => !text.includes("404"))).toEqual([]);
  });
});
