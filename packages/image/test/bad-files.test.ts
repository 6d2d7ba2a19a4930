import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { isVlmError } from "@vlm/core";
import { describe, expect, it } from "vitest";
import { readImage } from "../src/read-image.ts";
import { caught, chunk, fixture, fixtureNames, png } from "./files.ts";
import { source } from "./source.ts";

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

async function expectError(
  bytes: Uint8Array,
  name: string,
  code: string,
  message: RegExp,
  options: Parameters<typeof readImage>[1] = {},
): Promise<Record<string, unknown>> {
  const error = await caught(() => readImage(bytes, options));
  expect([error.name, error.code]).toEqual([name, code]);
  expect(error.message).toMatch(message);
  expect(error.message.split("\n").length).toBe(3);
  return error.details;
}

describe("what is no picture", () => {
  const cases: [string, Uint8Array, string, RegExp][] = [
    ["nothing", new Uint8Array(0), "IM_FORMAT", /an empty file/],
    ["text", text("just some words, nothing else"), "IM_FORMAT", /plain text/],
    ["an error page", text("\n<!DOCTYPE html><html><body>404"), "IM_FORMAT", /text\/html.*\n.*\n.*error page/],
    ["JSON", text('{"error": "not found"}'), "IM_FORMAT", /JSON/],
    ["a zip archive", text("PK\x03\x04abc"), "IM_FORMAT", /zip/],
    ["random bytes", Uint8Array.from([0, 200, 3, 250, 9, 8, 7, 6, 5, 4, 3, 2]), "IM_FORMAT", /no known kind/],
    ["HEIC", text("\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "IM_UNSUPPORTED", /HEIC/],
    ["a video", text("\0\0\0\x18ftypisom\0\0\0\0isomiso2"), "IM_UNSUPPORTED", /video/],
    ["TIFF", text("II*\0aaaaaaaaaaa"), "IM_UNSUPPORTED", /TIFF/],
    ["JPEG XL", Uint8Array.from([0xff, 0x0a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), "IM_UNSUPPORTED", /JPEG XL/],
    ["SVG", text('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'), "IM_UNSUPPORTED", /SVG/],
  ];
  for (const [name, bytes, code, message] of cases) {
    it(name, () => expectError(bytes, "ImageDecodeError", code, message));
  }

  it("names the file, whatever is wrong with it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "image-"));
    const jpeg = fixture("jpeg");
    const wrongSum = fixture("png-rgb").slice();
    wrongSum[Buffer.from(wrongSum).indexOf("IDAT") + 10]! ^= 1;
    const files: [string, Uint8Array, string, string][] = [
      ["empty.png", new Uint8Array(0), "ImageDecodeError", "IM_FORMAT"],
      ["page.jpg", text("<html>404"), "ImageDecodeError", "IM_FORMAT"],
      ["flat.png", png(0, 5), "ImageDecodeError", "IM_DIMENSION"],
      ["bomb.png", png(50_000, 50_000, { bits: 1, color: 0 }), "ImageLimitError", "IM_PIXELS"],
      ["cut.jpg", jpeg.subarray(0, jpeg.length - 40), "ImageDecodeError", "IM_TRUNCATED"],
      ["cut.png", fixture("png-rgb").subarray(0, 120), "ImageDecodeError", "IM_TRUNCATED"],
      ["sum.png", wrongSum, "ImageDecodeError", "IM_CORRUPT"],
      ["drawing.svg", text('<svg xmlns="http://www.w3.org/2000/svg"/>'), "ImageDecodeError", "IM_UNSUPPORTED"],
      ["photo.heic", text("\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "ImageDecodeError", "IM_UNSUPPORTED"],
    ];
    try {
      for (const [name, bytes, type, code] of files) {
        const path = join(folder, name);
        writeFileSync(path, bytes);
        const error = await caught(() => readImage(path));
        expect([name, error.name, error.code]).toEqual([name, type, code]);
        expect(error.message).toContain(name);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("a signature alone is a truncated file, for every format", async () => {
    for (const name of ["png-rgb", "jpeg", "gif", "webp", "avif", "bmp-RGB"]) {
      const error = await caught(() => readImage(fixture(name).subarray(0, 16)));
      expect([name, error.name]).toEqual([name, "ImageDecodeError"]);
      expect(["IM_TRUNCATED", "IM_CORRUPT"]).toContain(error.code);
    }
  });
});

describe("sizes", () => {
  it("0 × 0 and 0 × n", async () => {
    await expectError(png(0, 0), "ImageDecodeError", "IM_DIMENSION", /0 × 0/);
    await expectError(png(5, 0), "ImageDecodeError", "IM_DIMENSION", /5 × 0/);
    const bmp = fixture("bmp-RGB").slice();
    bmp.fill(0, 18, 26);
    await expectError(bmp, "ImageDecodeError", "IM_DIMENSION", /0 × 0/);
  });

  it("2,500 million pixels in 100 bytes are refused from the header", async () => {
    const details = await expectError(
      png(50_000, 50_000, { bits: 1, color: 0 }),
      "ImageLimitError",
      "IM_PIXELS",
      /50000 × 50000 is 2500000000 pixels, the limit is 67108864/,
    );
    expect(details).toMatchObject({ pixels: 2_500_000_000, limit: 2 ** 26 });
  });

  it("the largest sizes a header can hold do not overflow", async () => {
    await expectError(png(2 ** 31 - 1, 2 ** 31 - 1), "ImageLimitError", "IM_PIXELS", /4611686/);
    await expectError(png(2 ** 32 - 1, 2 ** 32 - 1), "ImageLimitError", "IM_PIXELS", /limit/);
  });

  it("every format is checked before it is decoded, and the limit is an option", async () => {
    for (const name of ["png-rgb", "jpeg", "gif", "webp", "webp-lossless", "webp-alpha", "avif", "bmp-RGB"]) {
      await expectError(fixture(name), "ImageLimitError", "IM_PIXELS", /24 × 17 is 408 pixels, the limit is 400/, {
        maxPixels: 400,
      });
      expect((await readImage(fixture(name), { maxPixels: 408 })).width).toBe(24);
    }
  });

  it("a file larger than maxBytes", async () => {
    await expectError(fixture("jpeg"), "ImageLimitError", "IM_BYTES", /the limit is 100/, { maxBytes: 100 });
  });
});

describe("damage", () => {
  it("a PNG cut short says how many rows there are, and gives them on request", async () => {
    const rows = Buffer.alloc(20 * (1 + 30), 7);
    for (let y = 0; y < 20; y++) rows[y * 31] = 0;
    const whole = png(10, 20, { rows: rows.subarray(0, 12 * 31) });
    const details = await expectError(whole, "ImageDecodeError", "IM_TRUNCATED", /12 of 20 rows/);
    expect(details).toEqual({ rows: 12, height: 20 });
    const partial = await readImage(whole, { partial: true });
    expect([partial.data[11 * 30], partial.data[12 * 30]]).toEqual([7, 0]);
  });

  it("a file cut anywhere gives a typed error or, in its last bytes, the picture", async () => {
    for (const name of ["png-rgb", "png-palette", "gif", "bmp-RGB", "bmp-rle8", "webp", "jpeg"]) {
      const bytes = fixture(name);
      for (let cut = 0; cut < bytes.length - 1; cut += Math.ceil(bytes.length / 12)) {
        // Where only the end mark is missing, the picture is whole.
        const outcome = await readImage(bytes.subarray(0, cut)).catch((error: unknown) => error);
        if (!isVlmError(outcome)) expect([name, cut, outcome]).toEqual([name, cut, await readImage(bytes)]);
      }
    }
  });

  it("a JPEG cut short", async () => {
    const jpeg = fixture("jpeg");
    const cut = jpeg.subarray(0, jpeg.length - 40);
    const details = await expectError(cut, "ImageDecodeError", "IM_TRUNCATED", /ends early/);
    expect(details).toMatchObject({ format: "jpeg", bytes: cut.length });
    expect((await readImage(cut, { partial: true })).height).toBe(17);
  });

  it("a wrong checksum names the chunk", async () => {
    const bytes = fixture("png-rgb").slice();
    const at = Buffer.from(bytes).indexOf("IDAT");
    bytes[at + 10]! ^= 1;
    const details = await expectError(bytes, "ImageDecodeError", "IM_CORRUPT", /checksum of chunk IDAT/);
    expect(details).toMatchObject({ chunk: "IDAT" });
  });

  it("PNGs against their own rules", async () => {
    const cases: [Uint8Array, RegExp][] = [
      [png(4, 4, { color: 1 }), /colour type 1/],
      [png(4, 4, { bits: 3, color: 0 }), /with 3 bits/],
      [png(4, 4, { bits: 16, color: 3 }), /colour type 3 with 16 bits/],
      [png(4, 4, { color: 3, rows: new Uint8Array(20) }), /palette is missing/],
      [png(4, 4, { rows: Buffer.alloc(52, 9) }), /filter 9/],
      [png(4, 4, { extra: [chunk("QQQQ", new Uint8Array(1))], rows: new Uint8Array(52) }), /QQQQ is required/],
    ];
    for (const [bytes, message] of cases) await expectError(bytes, "ImageDecodeError", "IM_CORRUPT", message);
    const garbage = png(4, 4, { rows: new Uint8Array(52) });
    const at = Buffer.from(garbage).indexOf("IDAT");
    const broken = Buffer.concat([garbage.subarray(0, at - 4), chunk("IDAT", Buffer.from("not zlib at all"))]);
    await expectError(broken, "ImageDecodeError", "IM_CORRUPT", /cannot be inflated/);
  });

  it("a bomb in a text or profile chunk is never inflated", async () => {
    const bomb = deflateSync(Buffer.alloc(60 * 2 ** 20));
    const extra = ["iCCP", "zTXt"].map((type) => chunk(type, Buffer.concat([Buffer.from("a\0\0"), bomb])));
    const before = process.memoryUsage().arrayBuffers;
    const image = await readImage(png(4, 4, { rows: new Uint8Array(52), extra }));
    expect(image.width).toBe(4);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 2 ** 20);
  });

  it("pixel data far beyond the picture's size are dropped, not inflated", async () => {
    const image = await readImage(png(4, 4, { rows: Buffer.alloc(80 * 2 ** 20) }));
    expect([image.width, image.height]).toEqual([4, 4]);
  });

  it("random damage to any format gives a picture or a typed error, quickly", async () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (const name of fixtureNames) {
      for (let round = 0; round < 6; round++) {
        const bytes = fixture(name).slice();
        for (let n = 0; n <= round; n++) bytes[random(bytes.length)] = random(256);
        try {
          const image = await readImage(bytes, { partial: round % 2 === 0, maxPixels: 10_000 });
          expect(image.data.length).toBe(image.width * image.height * 3);
        } catch (error) {
          expect([name, round, isVlmError(error), String(error)]).toEqual([name, round, true, expect.any(String)]);
        }
      }
    }
  });
});

describe("variants", () => {
  it("16-bit grey keeps the upper byte, or clips as Pillow does", async () => {
    const rows = Buffer.from([0, 0, 200, 1, 0, 128, 0]);
    const bytes = png(3, 1, { bits: 16, color: 0, rows });
    expect([...(await readImage(bytes, { channels: 1 })).data]).toEqual([0, 1, 128]);
    expect([...(await readImage(bytes, { channels: 1, parity: "pillow" })).data]).toEqual([200, 255, 255]);
  });

  it("alpha is dropped, kept or laid over a colour", async () => {
    const bytes = png(1, 1, { color: 6, rows: Buffer.from([0, 200, 100, 0, 64]) });
    expect([...(await readImage(bytes)).data]).toEqual([200, 100, 0]);
    expect([...(await readImage(bytes, { channels: 4 })).data]).toEqual([200, 100, 0, 64]);
    expect([...(await readImage(bytes, { background: [255, 255, 255] })).data]).toEqual([241, 216, 191]);
  });

  it("corrupt, cyclic and absurd EXIF data are ignored with a warning", async () => {
    const jpeg = Buffer.from(fixture("exif-jpeg-6"));
    const tiff = jpeg.indexOf("Exif") + 6;
    const damage: ((bytes: Buffer) => void)[] = [
      (bytes) => bytes.fill(0xff, tiff + 4, tiff + 8),
      (bytes) => bytes.fill(0, tiff, tiff + 2),
      (bytes) => bytes.fill(0xff, tiff + 8, tiff + 12),
      // A directory that starts at its own pointer.
      (bytes) => bytes.set(bytes.subarray(tiff, tiff + 2).toString() === "MM" ? [0, 0, 0, 4] : [4, 0, 0, 0], tiff + 4),
    ];
    for (const change of damage) {
      const bytes = Buffer.from(jpeg);
      change(bytes);
      const warnings: string[] = [];
      const image = await readImage(new Uint8Array(bytes), { onWarning: (message) => warnings.push(message) });
      expect([image.width, image.height]).toEqual([24, 16]);
      expect(warnings.length).toBeLessThanOrEqual(1);
    }
  });

  it("arithmetic coding, 12 bits and endless scans", async () => {
    const jpeg = fixture("jpeg");
    const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
    const arithmetic = jpeg.slice();
    arithmetic[frame + 1] = 0xc9;
    await expectError(arithmetic, "ImageDecodeError", "IM_UNSUPPORTED", /arithmetic/);
    const deep = jpeg.slice();
    deep[frame + 4] = 12;
    await expectError(deep, "ImageDecodeError", "IM_UNSUPPORTED", /12 bits/);
    const scan = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xda);
    const scans = Array<Uint8Array>(600).fill(jpeg.subarray(scan, scan + 14));
    const many = new Uint8Array(Buffer.concat([jpeg.subarray(0, scan), ...scans, jpeg.subarray(scan)]));
    await expectError(many, "ImageLimitError", "IM_SCANS", /601 scans, the limit is 500/);
  });

  it("SVG on request, at a chosen width, without reaching outside", async () => {
    const svg = text(
      '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="5"><rect width="10" height="5" fill="#ff0000"/>' +
        '<image href="file:///etc/hostname" width="5" height="5"/></svg>',
    );
    const image = await readImage(svg, { svg: { width: 40 } });
    expect([image.width, image.height]).toEqual([40, 20]);
    expect([...image.data.subarray(0, 3)]).toEqual([255, 0, 0]);
    expect((await readImage(svg, { svg: true })).width).toBe(10);
  });

  it("a colour profile is ignored, or converted on request", async () => {
    const { default: sharp } = await import("sharp");
    const { data, width, height } = source(8, 8, 3, 3);
    const raw = { width, height, channels: 3 as const };
    const plain = await sharp(data, { raw }).jpeg({ quality: 100 }).toBuffer();
    const profile = (await sharp(data, { raw }).withIccProfile("p3").jpeg().metadata()) && "p3";
    const tagged = await sharp(data, { raw }).withIccProfile(profile).webp({ lossless: true }).toBuffer();
    const ignored = await readImage(new Uint8Array(tagged));
    const converted = await readImage(new Uint8Array(tagged), { icc: "srgb" });
    expect(ignored.data).not.toEqual(converted.data);
    expect((await readImage(new Uint8Array(plain), { icc: "srgb" })).data).toEqual(
      (await readImage(new Uint8Array(plain))).data,
    );
  });
});
