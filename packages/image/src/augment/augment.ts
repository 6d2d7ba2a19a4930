import { VlmError } from "@vlm/core";
import { crop, pad } from "../crop.ts";
import { type Color, checkImage, type Image } from "../image.ts";
import { foldKey, permutation, type RandomKey, randomInteger, uniform } from "../random.ts";
import type { Filter } from "../resample.ts";
import { resize, resizeRegion } from "../resize.ts";
import { targetSize } from "../target-size.ts";
import { gaussianBlur } from "./blur.ts";
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, grayscale } from "./color.ts";

/** A random change of an image: the same image and key give the same result. */
export type Augment = (image: Image, key: RandomKey) => Image;

/** Steps one after the other, each with a key of its own. */
export function sequence(...steps: readonly Augment[]): Augment {
  return (image, key) => steps.reduce((current, step, i) => step(current, foldKey(key, i)), image);
}

/** Several views of one image, each by a key of its own: the pairs of SimCLR (Chen et al. 2020). */
export function views(count: number, step: Augment): (image: Image, key: RandomKey) => Image[] {
  return (image, key) => Array.from({ length: count }, (_, i) => step(image, foldKey(key, i)));
}

/** Applies a step with probability `p`. */
export function sometimes(p: number, step: Augment): Augment {
  return (image, key) => (uniform(key, 0) < p ? step(image, foldKey(key, 1)) : image);
}

/**
 * Cuts a rectangle of random area and aspect ratio and resizes it (Szegedy et al. 2014; torchvision's
 * `RandomResizedCrop`: ten tries, then the middle).
 */
export function randomResizedCrop(options: {
  size: number | { width: number; height: number };
  /** Share of the area; default 0.08 to 1. */
  scale?: readonly [number, number];
  /** Width by height, drawn on a logarithmic scale; default 3/4 to 4/3. */
  ratio?: readonly [number, number];
  filter?: Filter;
}): Augment {
  const { size, scale = [0.08, 1], ratio = [3 / 4, 4 / 3], filter = "bicubic" } = options;
  const target = typeof size === "number" ? { width: size, height: size } : size;
  checkRange("scale", scale, 0, 1);
  checkRange("ratio", ratio, 0, Number.MAX_VALUE);
  return (image, key) => {
    checkImage(image, "randomResizedCrop");
    return resize(crop(image, cropBox(image, key, scale, ratio)), { ...target, filter });
  };
}

function cropBox(
  { width, height }: Image,
  key: RandomKey,
  scale: readonly [number, number],
  ratio: readonly [number, number],
): { left: number; top: number; width: number; height: number } {
  const [low, high] = [Math.log(ratio[0]), Math.log(ratio[1])];
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = width * height * between(scale, uniform(key, attempt * 4));
    const aspect = Math.exp(between([low, high], uniform(key, attempt * 4 + 1)));
    const w = Math.round(Math.sqrt(area * aspect));
    const h = Math.round(Math.sqrt(area / aspect));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const left = randomInteger(key, width - w + 1, attempt * 4 + 2);
    const top = randomInteger(key, height - h + 1, attempt * 4 + 3);
    return { left, top, width: w, height: h };
  }
  const shape = width / height;
  const w = shape > ratio[1] ? Math.max(1, Math.min(width, Math.round(height * ratio[1]))) : width;
  const h = shape < ratio[0] ? Math.max(1, Math.min(height, Math.round(width / ratio[0]))) : height;
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h };
}

/** Mirrors left and right with probability `p`, default 1/2. */
export function randomFlip(p = 0.5): Augment {
  return sometimes(p, (image) => flip(image));
}

/** The mirror image, left and right exchanged. */
export function flip(image: Image): Image {
  checkImage(image, "flip");
  const { width, height, channels, data } = image;
  const out = new Uint8ClampedArray(data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = width - 1; x >= 0; x--) {
      for (let c = 0; c < channels; c++) out[to++] = data[(y * width + x) * channels + c]!;
    }
  }
  return { ...image, data: out };
}

/** Moves the picture by up to `pixels` in both directions; what is uncovered gets one colour (default black). */
export function randomShift(pixels: number, color: Color = [0, 0, 0]): Augment {
  if (!Number.isInteger(pixels) || pixels < 0) throw badRange("shift", [pixels]);
  return (image, key) => {
    checkImage(image, "randomShift");
    const dx = randomInteger(key, 2 * pixels + 1, 0);
    const dy = randomInteger(key, 2 * pixels + 1, 1);
    const padded = pad(image, { left: pixels, right: pixels, top: pixels, bottom: pixels }, color);
    return crop(padded, { left: dx, top: dy, width: image.width, height: image.height });
  };
}

/** Strengths of `colorJitter`: a factor is drawn from `1 - s` to `1 + s`, a hue from `-hue` to `hue`. */
export type ColorJitter = { brightness?: number; contrast?: number; saturation?: number; hue?: number };

/** Brightness, contrast, saturation and hue changed at random, in random order (torchvision's `ColorJitter`). */
export function colorJitter({ brightness = 0, contrast = 0, saturation = 0, hue = 0 }: ColorJitter): Augment {
  for (const [name, value] of Object.entries({ brightness, contrast, saturation })) {
    if (!(value >= 0)) throw badRange(name, [value]);
  }
  if (!(hue >= 0 && hue <= 0.5)) throw badRange("hue", [hue]);
  const factor = (strength: number, u: number): number => between([Math.max(0, 1 - strength), 1 + strength], u);
  const steps: readonly ((image: Image, u: number) => Image)[] = [
    (image, u) => adjustBrightness(image, factor(brightness, u)),
    (image, u) => adjustContrast(image, factor(contrast, u)),
    (image, u) => adjustSaturation(image, factor(saturation, u)),
    (image, u) => (hue === 0 ? image : adjustHue(image, between([-hue, hue], u))),
  ];
  return (image, key) => {
    const order = permutation(foldKey(key, 0), steps.length);
    return Array.from(order).reduce((current, step) => steps[step]!(current, uniform(key, step + 1)), image);
  };
}

/** Grey with probability `p`. */
export function randomGrayscale(p: number): Augment {
  return sometimes(p, (image) => grayscale(image));
}

/** Blur with a kernel of a tenth of the shorter side (odd), sigma from 0.1 to 2 by default, with probability `p`. */
export function randomBlur(p: number, options: { kernel?: number; sigma?: readonly [number, number] } = {}): Augment {
  const { sigma = [0.1, 2] } = options;
  checkRange("sigma", sigma, 0, Number.MAX_VALUE);
  return sometimes(p, (image, key) => {
    const tenth = Math.floor(Math.min(image.width, image.height) / 20) * 2 + 1;
    return gaussianBlur(image, { kernel: options.kernel ?? tenth, sigma: between(sigma, uniform(key)) });
  });
}

/**
 * CLIP's recipe (Radford et al. 2021, section 2.3): "a random square crop from resized images", nothing else. The
 * shorter side becomes `size`. OpenCLIP's variant is `randomResizedCrop({ size, scale: [0.9, 1] })`.
 */
export function clipAugment(size = 224, filter: Filter = "bicubic"): Augment {
  return (image, key) => {
    checkImage(image, "clipAugment");
    const target = targetSize(image, { kind: "shortest", size });
    const left = randomInteger(key, target.width - size + 1, 0);
    const top = randomInteger(key, target.height - size + 1, 1);
    return resizeRegion(image, { ...target, filter }, { left, top, width: size, height: size });
  };
}

/**
 * SimCLR's recipe (Chen et al. 2020, appendix A): crop of 8 to 100 % of the area, flip, colour jitter of strength
 * (0.8, 0.8, 0.8, 0.2) · `strength` with probability 0.8, grey with 0.2, blur with 0.5.
 */
export function simclrAugment(size = 224, strength = 1): Augment {
  const s = 0.8 * strength;
  return sequence(
    randomResizedCrop({ size }),
    randomFlip(),
    sometimes(0.8, colorJitter({ brightness: s, contrast: s, saturation: s, hue: 0.2 * strength })),
    randomGrayscale(0.2),
    randomBlur(0.5),
  );
}

function between([low, high]: readonly [number, number], u: number): number {
  return low + (high - low) * u;
}

function checkRange(name: string, range: readonly [number, number], low: number, high: number): void {
  if (range[0] > low && range[1] >= range[0] && range[1] <= high) return;
  throw badRange(name, range);
}

function badRange(name: string, range: readonly number[]): VlmError {
  return new VlmError("ArgumentError", "IM_AUGMENT", {
    what: `${name} is ${range.join(" to ")}`,
    where: "augment",
    hint: "ranges go from a smaller to a larger number above 0; strengths are 0 or more, hue at most 0.5",
    details: { name, range },
  });
}
