import { VlmError } from "@vlm/core";
import { toRgb } from "./convert.ts";
import { centerBox, centerCrop, crop } from "./crop.ts";
import { checkImage, type Image } from "./image.ts";
import type { PixelArray } from "./pixel-array.ts";
import type { Preprocessor } from "./preprocessor.ts";
import { resizeRegion } from "./resize.ts";
import { targetSize } from "./target-size.ts";

/**
 * All steps of a preprocessor on one image, without a tensor: to RGB, resize, crop, rescale, normalise, pad.
 * Equal to the Hugging Face processor on equal decoded pixels, with `like: "pillow"` bit for bit.
 */
export function preprocessPixels(image: Image, preprocessor: Preprocessor): PixelArray {
  checkImage(image, "preprocess");
  const framed = frame(toRgb(image), preprocessor);
  const table = valueTable(preprocessor);
  const { width, height, data } = framed;
  const out = preprocessor.pad ?? { width, height };
  if (out.width < width || out.height < height) {
    throw new VlmError("ArgumentError", "IM_PAD", {
      what: `cannot pad ${width} × ${height} to the smaller ${out.width} × ${out.height}`,
      where: "preprocess",
      hint: "make pad at least as large as what resize and crop leave",
      details: { width, height, pad: out },
    });
  }
  const plane = out.width * out.height;
  const values = new Float32Array(3 * plane);
  for (let y = 0, from = 0; y < height; y++) {
    let to = y * out.width;
    for (let x = 0; x < width; x++, from += 3, to++) {
      values[to] = table[data[from]!]!;
      values[to + plane] = table[256 + data[from + 1]!]!;
      values[to + 2 * plane] = table[512 + data[from + 2]!]!;
    }
  }
  return { data: values, shape: [3, out.height, out.width] };
}

/** Resize and crop; where the crop lies inside, only its pixels are computed. */
function frame(image: Image, { resize: target, crop: window, cropRounding, filter, like }: Preprocessor): Image {
  const rounding = cropRounding ?? "down";
  const size = target === undefined ? image : targetSize(image, target);
  const options = { width: size.width, height: size.height, filter, ...(like && { like }) };
  const whole = { left: 0, top: 0, width: size.width, height: size.height };
  if (window === undefined) return target === undefined ? image : resizeRegion(image, options, whole);
  const box = centerBox(size, window.width, window.height, rounding);
  if (box.left >= 0 && box.top >= 0) return target === undefined ? crop(image, box) : resizeRegion(image, options, box);
  const resized = target === undefined ? image : resizeRegion(image, options, whole);
  return centerCrop(resized, { ...window, rounding, ...(like && { like }) });
}

/** The float32 result for each of the 256 levels of the 3 channels: a table, in the reference's order of roundings. */
function valueTable({ rescale, normalize, like }: Preprocessor): Float32Array {
  const f = Math.fround;
  const table = new Float32Array(768);
  for (let c = 0; c < 3; c++) {
    const mean = normalize ? f(normalize.mean[c]!) : 0;
    const std = normalize ? f(normalize.std[c]!) : 1;
    if (!(std !== 0) || !Number.isFinite(mean) || !Number.isFinite(std)) {
      throw new VlmError("ArgumentError", "IM_CONFIG", {
        what: `channel ${c} is normalised with mean ${normalize?.mean[c]} and deviation ${normalize?.std[c]}`,
        where: "preprocess",
        hint: "give three finite means and three deviations above 0",
      });
    }
    for (let level = 0; level < 256; level++) {
      table[c * 256 + level] =
        like === "torchvision"
          ? fused(level, rescale, normalize && { mean, std })
          : stepwise(level, rescale, normalize && { mean, std });
    }
  }
  return table;
}

/** NumPy's path: the product in float64, then float32. */
function stepwise(level: number, rescale: number | undefined, normalize?: { mean: number; std: number }): number {
  const x = Math.fround(rescale === undefined ? level : level * rescale);
  return normalize ? Math.fround(x - normalize.mean) / normalize.std : x;
}

/** Torchvision's path: mean and deviation are scaled by 1 / rescale instead of the pixels. */
function fused(level: number, rescale: number | undefined, normalize?: { mean: number; std: number }): number {
  const f = Math.fround;
  if (normalize === undefined) return rescale === undefined ? level : level * f(rescale);
  if (rescale === undefined) return f(level - normalize.mean) / normalize.std;
  const scale = f(1 / rescale);
  return f(level - f(normalize.mean * scale)) / f(normalize.std * scale);
}
