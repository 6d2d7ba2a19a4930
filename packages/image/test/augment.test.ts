import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type Augment,
  clipAugment,
  colorJitter,
  flip,
  randomBlur,
  randomFlip,
  randomResizedCrop,
  randomShift,
  sequence,
  simclrAugment,
  views,
} from "../src/augment/augment.ts";
import { gaussianBlur } from "../src/augment/blur.ts";
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, grayscale } from "../src/augment/color.ts";
import { toGray } from "../src/convert.ts";
import type { Image } from "../src/image.ts";
import { foldKey, permutation, threefry, uniform } from "../src/random.ts";
import { sha256, source } from "./source.ts";

type Row = { adjust: string; factor: number; kernel?: number; sha256?: string; pixels?: string };
const { rows } = JSON.parse(readFileSync(new URL("./fixtures/adjust.json", import.meta.url), "utf8")) as {
  rows: Row[];
};

const adjusters: Record<string, (image: Image, factor: number) => Image> = {
  brightness: adjustBrightness,
  contrast: adjustContrast,
  saturation: adjustSaturation,
  hue: adjustHue,
  gray: toGray,
};

describe("colour changes equal Pillow's", () => {
  const image = source(41, 29, 3, 5);
  for (const row of rows.filter((r) => r.sha256)) {
    it(`${row.adjust} ${row.factor}`, () => {
      expect(sha256(adjusters[row.adjust]!(image, row.factor).data)).toBe(row.sha256);
    });
  }
  for (const row of rows.filter((r) => r.pixels)) {
    it(`blur of ${row.kernel} with sigma ${row.factor} is within a level of torchvision's`, () => {
      const out = gaussianBlur(image, { kernel: row.kernel!, sigma: row.factor }).data;
      const want = Buffer.from(row.pixels!, "base64");
      expect(out.length).toBe(want.length);
      for (let i = 0; i < want.length; i++) expect(Math.abs(out[i]! - want[i]!)).toBeLessThanOrEqual(1);
    });
  }
});

describe("random numbers", () => {
  it("are Threefry's, by the known answers of Random123", () => {
    expect(threefry([0, 0], 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
    expect(threefry([0xffffffff, 0xffffffff], 0xffffffff, 0xffffffff)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(threefry([0x13198a2e, 0x03707344], 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
  });

  it("permute evenly: each place sees each number about as often", () => {
    const counts = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
    for (let k = 0; k < 4000; k++) for (const [place, n] of permutation(k, 4).entries()) counts[place]![n]!++;
    for (const row of counts) for (const n of row) expect(Math.abs(n - 1000)).toBeLessThan(120);
  });

  it("accept a seed, a pair and core's key alike", () => {
    expect(uniform([0, 7], 3)).toBe(uniform(7, 3));
    expect(uniform({ k0: 0, k1: 7 }, 3)).toBe(uniform(7, 3));
    expect(() => uniform(0.5)).toThrow(/IM_KEY/);
  });
});

describe("augment", () => {
  const image = source(60, 40, 3, 1);
  const recipes: [string, Augment][] = [
    ["simclr", simclrAugment(32)],
    ["clip", clipAugment(32)],
    ["shift", randomShift(5, [255, 255, 255])],
    ["jitter", colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 })],
    ["blur", randomBlur(1)],
  ];
  for (const [name, recipe] of recipes) {
    it(`${name} gives the same for the same key, another for another, and leaves its input alone`, () => {
      const before = sha256(image.data);
      const results = [1, 2, 3, 4, 5, 6].map((key) => sha256(recipe(image, key).data));
      expect([1, 2, 3, 4, 5, 6].map((key) => sha256(recipe(image, key).data))).toEqual(results);
      expect(new Set(results).size).toBeGreaterThan(3);
      expect(sha256(image.data)).toBe(before);
    });
  }

  it("recipes have the size they promise, also for thin images", () => {
    for (const [width, height] of [
      [60, 40],
      [1, 90],
      [90, 1],
      [3, 3],
    ] as const) {
      const out = simclrAugment(32)(source(width, height, 3, 2), 9);
      expect([out.width, out.height]).toEqual([32, 32]);
    }
  });

  it("flip twice is the image itself, and randomFlip flips about half", () => {
    expect(flip(flip(image)).data).toEqual(new Uint8ClampedArray(image.data));
    const flipped = Array.from({ length: 400 }, (_, key) => randomFlip()(image, foldKey(5, key)) !== image);
    expect(Math.abs(flipped.filter(Boolean).length - 200)).toBeLessThan(50);
  });

  it("random crops stay inside their area and ratio", () => {
    for (let key = 0; key < 200; key++) {
      // Only the sizes matter here: a crop of a plain image resized to 1 × 1 cannot fail unless the box is outside.
      const out = randomResizedCrop({ size: 1, scale: [0.2, 0.4] })(image, key);
      expect(out.data.length).toBe(3);
    }
  });

  it("sequence gives every step a key of its own", () => {
    const keys: unknown[] = [];
    const spy: Augment = (current, key) => {
      keys.push(key);
      return current;
    };
    sequence(spy, spy, spy)(image, 3);
    expect(new Set(keys.map(String)).size).toBe(3);
  });

  it("views are what the step makes of keys of their own", () => {
    const step = randomResizedCrop({ size: 4 });
    const two = views(2, step)(image, 3);
    expect(two).toEqual([step(image, foldKey(3, 0)), step(image, foldKey(3, 1))]);
    expect(two[0]).not.toEqual(two[1]);
  });

  it("grey keeps channels and alpha", () => {
    const rgba = source(5, 5, 4, 1);
    const gray = grayscale(rgba);
    expect(gray.channels).toBe(4);
    expect(gray.data[3]).toBe(rgba.data[3]);
    expect(gray.data[0]).toBe(gray.data[2]);
  });

  it("refuses impossible settings", () => {
    expect(() => colorJitter({ hue: 0.6 })).toThrow(/IM_AUGMENT/);
    expect(() => randomResizedCrop({ size: 8, scale: [0.5, 0.1] })).toThrow(/IM_AUGMENT/);
    expect(() => gaussianBlur(image, { kernel: 4, sigma: 1 })).toThrow(/IM_BLUR/);
    expect(() => gaussianBlur(source(2, 2, 3, 1), { kernel: 9, sigma: 1 })).toThrow(/IM_BLUR/);
    expect(() => adjustBrightness(image, -1)).toThrow(/IM_FACTOR/);
    expect(() => adjustHue(image, Number.NaN)).toThrow(/IM_FACTOR/);
  });
});
