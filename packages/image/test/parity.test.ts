import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { preprocessPixels } from "../src/preprocess-pixels.ts";
import { preprocessorFromConfig } from "../src/preprocessor-config.ts";
import type { Filter } from "../src/resample.ts";
import { resize } from "../src/resize.ts";
import { resizeFloat } from "../src/resize-float.ts";
import { sha256, source, sourceBytes } from "./source.ts";

type Size = [width: number, height: number];

function rows<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8")).rows as T[];
}

describe("resize equals Pillow bit for bit", () => {
  type Row = { size: Size; to: Size; channels: 1 | 3 | 4; seed: number; filter: Filter; sha256: string };
  for (const row of rows<Row>("resize")) {
    it(`${row.filter} ${row.size.join("×")}×${row.channels} to ${row.to.join("×")}`, () => {
      const image = source(...row.size, row.channels, row.seed);
      const [width, height] = row.to;
      expect(sha256(resize(image, { width, height, filter: row.filter }).data)).toBe(row.sha256);
    });
  }
});

describe("resize like torchvision equals its uint8 tensors bit for bit", () => {
  type Row = { size: Size; to: Size; seed: number; filter: Filter; sha256: string };
  for (const row of rows<Row>("resize-tensor")) {
    it(`${row.filter} ${row.size.join("×")} to ${row.to.join("×")}`, () => {
      const image = source(...row.size, 3, row.seed);
      const [width, height] = row.to;
      const out = resize(image, { width, height, filter: row.filter, like: "torchvision" });
      expect(sha256(out.data)).toBe(row.sha256);
    });
  }
});

describe("resizeFloat equals torchvision's float tensors", () => {
  type Row = { size: Size; to: Size; seed: number; filter: "bilinear" | "bicubic"; values: string };
  for (const row of rows<Row>("resize-float")) {
    it(`${row.filter} ${row.size.join("×")} to ${row.to.join("×")}`, () => {
      const [w, h] = row.size;
      const bytes = sourceBytes(w, h, 2, row.seed);
      const data = new Float32Array(bytes.length);
      for (let c = 0; c < 2; c++) for (let i = 0; i < w * h; i++) data[c * w * h + i] = bytes[i * 2 + c]! / 255;
      const [width, height] = row.to;
      const out = resizeFloat({ data, shape: [2, h, w] }, { width, height, filter: row.filter });
      const raw = Buffer.from(row.values, "base64");
      const want = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
      expect(out.data.length).toBe(want.length);
      for (let i = 0; i < want.length; i++) expect(Math.abs(out.data[i]! - want[i]!)).toBeLessThan(1e-6);
    });
  }
});

describe("preprocess equals the Hugging Face processor bit for bit", () => {
  type Row = {
    config: Record<string, unknown>;
    like: "pillow" | "torchvision";
    size: Size;
    seed: number;
    shape: number[];
    sha256: string;
  };
  for (const [n, row] of rows<Row>("processors").entries()) {
    it(`${n} ${row.config.image_processor_type} ${row.like} ${row.size.join("×")}`, () => {
      const preprocessor = { ...preprocessorFromConfig(row.config), like: row.like };
      const out = preprocessPixels(source(...row.size, 3, row.seed), preprocessor);
      expect(out.shape).toEqual(row.shape);
      expect(sha256(out.data)).toBe(row.sha256);
    });
  }
});
