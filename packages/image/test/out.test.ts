import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tensor } from "@vlm/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { crc32 } from "../src/crc32.ts";
import { toCanvas, toImageData } from "../src/out/canvas.ts";
import { glyphRows, plainText } from "../src/out/font.ts";
import { overlayHeatMap } from "../src/out/heat-map.ts";
import { imageGrid } from "../src/out/image-grid.ts";
import { encodePng } from "../src/out/png.ts";
import { toImage } from "../src/out/to-image.ts";
import { writePng } from "../src/out/write-png.ts";
import { preprocess } from "../src/preprocess.ts";
import { siglipPreprocessor } from "../src/preprocessor.ts";
import { readImage } from "../src/read-image.ts";
import { caught } from "./files.ts";
import { bytesOf, source } from "./source.ts";

afterEach(() => vi.unstubAllGlobals());

describe("PNG", () => {
  it("comes back as it was, here and in sharp", async () => {
    const { default: sharp } = await import("sharp");
    for (const channels of [1, 3, 4] as const) {
      for (const [width, height] of [
        [1, 1],
        [7, 5],
        [64, 33],
      ] as const) {
        const image = source(width, height, channels, 3);
        const bytes = await encodePng(image);
        expect(bytesOf(await readImage(bytes, { channels })).equals(bytesOf(image))).toBe(true);
        const theirs = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
        expect([theirs.info.width, theirs.info.height]).toEqual([width, height]);
      }
    }
  });

  it("and its reading work with web streams too, as in browsers", async () => {
    const image = source(40, 30, 4, 1);
    const { getBuiltinModule } = process;
    vi.spyOn(process, "getBuiltinModule").mockImplementation((name: string) =>
      name === "node:zlib" ? undefined : getBuiltinModule(name),
    );
    const bytes = await encodePng(image);
    expect(bytesOf(await readImage(bytes, { channels: 4 })).equals(bytesOf(image))).toBe(true);
    const cut = await caught(() => readImage(bytes.subarray(0, bytes.length / 2)));
    expect(cut.code).toBe("IM_TRUNCATED");
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
    vi.restoreAllMocks();
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });

  it("files appear whole or not at all", async () => {
    const folder = mkdtempSync(join(tmpdir(), "png-"));
    await writePng(join(folder, "x.png"), source(3, 3, 3, 1));
    expect(readFileSync(join(folder, "x.png")).subarray(1, 4).toString()).toBe("PNG");
    const error = await caught(() => writePng(join(folder, "no", "x.png"), source(3, 3, 3, 1)));
    expect([error.name, error.code]).toEqual(["StorageError", "IM_WRITE"]);
    expect(readdirSync(folder)).toEqual(["x.png"]);
    rmSync(folder, { recursive: true });
  });
});

describe("toImage", () => {
  it("undoes preprocessing", async () => {
    const image = source(224, 224, 3, 7);
    const input = await preprocess(image, siglipPreprocessor);
    const back = await toImage(input, { normalize: siglipPreprocessor.normalize });
    expect(bytesOf(back).equals(bytesOf(image))).toBe(true);
  });

  it("takes [H W], [C H W], levels, and a range of its own", async () => {
    expect([
      ...(
        await toImage(
          tensor([
            [0, 0.5],
            [1, 2],
          ]),
        )
      ).data,
    ]).toEqual([0, 128, 255, 255]);
    expect([...(await toImage(tensor([[-1, 1]]), { range: [-1, 1] })).data]).toEqual([0, 255]);
    const levels = tensor(Uint8Array.from([9, 8, 7]), { shape: [3, 1, 1] });
    expect([...(await toImage(levels)).data]).toEqual([9, 8, 7]);
  });

  it("refuses other shapes and values that are not finite", async () => {
    for (const shape of [[2], [2, 2, 2], [1, 3, 2, 2]]) {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      const error = await caught(() => toImage(tensor(values, { shape })));
      expect([error.name, error.code]).toEqual(["ShapeError", "IM_TENSOR_SHAPE"]);
    }
    const error = await caught(() => toImage(tensor([[0, Number.NaN]])));
    expect([error.name, error.code]).toEqual(["NonFiniteError", "IM_NON_FINITE"]);
    expect(error.message).toMatch(/row 0, column 1 is NaN/);
  });
});

describe("grids and overlays", () => {
  it("a grid places pictures and writes captions below them", () => {
    const black = { width: 20, height: 10, channels: 1 as const, data: new Uint8Array(200) };
    const grid = imageGrid([{ image: black, caption: "hi" }, { image: black }, black], { columns: 2, gap: 2 });
    expect([grid.width, grid.height, grid.channels]).toEqual([46, 2 * (10 + 22 + 2) + 2, 3]);
    const at = (x: number, y: number): number => grid.data[(y * grid.width + x) * 3]!;
    expect([at(0, 0), at(2, 2), at(21, 11), at(22, 5), at(24, 2)]).toEqual([255, 0, 0, 255, 0]);
    // The stroke of the h, at the left edge of the caption's first character.
    expect([at(2, 16), at(2, 22), at(3, 16)]).toEqual([30, 30, 255]);
  });

  it("captions wrap at spaces, end in dots and never leave their cell", () => {
    const image = source(60, 8, 3, 1);
    const words = "a very long caption that does not fit in two lines of sixty pixels";
    const grid = imageGrid(
      [
        { image, caption: words },
        { image, caption: "" },
      ],
      { columns: 2 },
    );
    for (let y = 16; y < grid.height; y++) {
      for (let x = 68; x < 76; x++) expect(grid.data[(y * grid.width + x) * 3]).toBe(255);
    }
  });

  it("the font has all of ASCII, and letters with accents lose them", () => {
    const shapes = Array.from({ length: 95 }, (_, i) => glyphRows(String.fromCharCode(32 + i)).join());
    expect(new Set(shapes).size).toBe(95);
    expect(plainText("Crème  brûlée – “ja”").join("")).toBe('Creme brulee - "ja"');
    expect(glyphRows("猫")).toEqual([31, 17, 17, 17, 17, 17, 31]);
  });

  it("a heat map is strongest where its numbers are", () => {
    const image = { width: 40, height: 40, channels: 3 as const, data: new Uint8Array(4800).fill(128) };
    const map = { data: [0, 0, 0, 1], height: 2, width: 2 };
    const out = overlayHeatMap(image, map);
    const red = (x: number, y: number): number => out.data[(y * 40 + x) * 3]!;
    expect(red(39, 39)).toBeGreaterThan(red(0, 0) + 60);
    expect(overlayHeatMap(image, { data: [3, 3, 3, 3], height: 2, width: 2 }).data.every(Number.isFinite)).toBe(true);
    const cells = overlayHeatMap(image, map, { style: "cells" });
    expect(cells.data[(20 * 40 + 20) * 3]).toBe(cells.data[(39 * 40 + 39) * 3]);
  });

  it("refuses maps that do not fit", async () => {
    const image = source(4, 4, 3, 1);
    const shape = await caught(() => overlayHeatMap(image, { data: new Float32Array(197), height: 14, width: 14 }));
    expect([shape.name, shape.code]).toEqual(["ShapeError", "IM_MAP_SHAPE"]);
    expect(shape.message).toMatch(/class token/);
    const nan = await caught(() => overlayHeatMap(image, { data: [1, Number.NaN], height: 1, width: 2 }));
    expect(nan.code).toBe("IM_NON_FINITE");
    expect((await caught(() => imageGrid([]))).code).toBe("IM_EMPTY");
  });
});

describe("canvas", () => {
  it("gets RGBA pixels and the image's size", async () => {
    expect((await caught(() => toImageData(source(2, 2, 3, 1)))).code).toBe("IM_CANVAS");
    class FakeImageData {
      readonly data: Uint8ClampedArray;
      readonly width: number;
      readonly height: number;
      constructor(data: Uint8ClampedArray, width: number, height: number) {
        this.data = data;
        this.width = width;
        this.height = height;
      }
    }
    vi.stubGlobal("ImageData", FakeImageData);
    let put: FakeImageData | undefined;
    const context = {
      putImageData: (pixels: FakeImageData) => {
        put = pixels;
      },
    };
    const canvas = { width: 0, height: 0, getContext: () => context } as unknown as OffscreenCanvas;
    toCanvas(source(5, 4, 1, 1), canvas);
    expect([canvas.width, canvas.height, put?.data.length, put?.data[3]]).toEqual([5, 4, 80, 255]);
    const taken = { getContext: () => null } as unknown as OffscreenCanvas;
    expect((await caught(() => toCanvas(source(2, 2, 3, 1), taken))).code).toBe("IM_CANVAS");
  });
});

describe("without sharp", () => {
  it("PNG and BMP work, others say what to install", () => {
    const script = `
      import { register } from "node:module";
      const source = 'export async function resolve(s, c, n) { if (s === "sharp") throw new Error("absent"); return n(s, c); }';
      register("data:text/javascript," + encodeURIComponent(source));
      const { readImage, encodePng } = await import(process.argv[1]);
      const png = await encodePng({ width: 1, height: 1, channels: 3, data: Uint8Array.from([1, 2, 3]) });
      console.log([...(await readImage(png)).data].join());
      await readImage(Buffer.from(process.argv[2], "base64")).catch((e) => console.log(e.name, e.code, e.message.includes("npm i sharp")));
    `;
    const jpeg = Buffer.from([...Buffer.from("ffd8ffc0000b080001000101011100ffd9", "hex")]).toString("base64");
    const entry = new URL("../src/index.ts", import.meta.url).href;
    const args = ["--conditions=@vlm/source", "--import", "tsx", "--input-type=module", "-e", script, entry, jpeg];
    const out = execFileSync(process.execPath, args, { encoding: "utf8", cwd: new URL("../../..", import.meta.url) });
    expect(out.trim().split("\n")).toEqual(["1,2,3", "FeatureMissingError IM_SHARP true"]);
  });
});
