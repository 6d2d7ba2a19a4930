import { VlmError } from "@vlm/core";
import { checkImage, type Image } from "../image.ts";

/**
 * Gaussian blur as torchvision's: an odd kernel of `kernel` pixels with standard deviation `sigma`, edges mirrored.
 * @throws `ArgumentError` for an even kernel, a sigma of 0 or less, or an image too small to mirror
 */
export function gaussianBlur(image: Image, { kernel, sigma }: { kernel: number; sigma: number }): Image {
  checkImage(image, "gaussianBlur");
  const half = (kernel - 1) / 2;
  if (!Number.isInteger(half) || half < 0 || !(sigma > 0)) {
    throw new VlmError("ArgumentError", "IM_BLUR", {
      what: `a blur with kernel ${kernel} and sigma ${sigma}`,
      where: "gaussianBlur",
      hint: "the kernel is an odd number of pixels, sigma is above 0",
      details: { kernel, sigma },
    });
  }
  if (half >= image.width || half >= image.height) {
    throw new VlmError("ArgumentError", "IM_BLUR", {
      what: `a kernel of ${kernel} needs ${half + 1} pixels on each side, the image has ${image.width} × ${image.height}`,
      where: "gaussianBlur",
      hint: "use a smaller kernel",
      details: { kernel, width: image.width, height: image.height },
    });
  }
  const weights = Float64Array.from({ length: kernel }, (_, i) => Math.exp(-0.5 * ((i - half) / sigma) ** 2));
  const sum = weights.reduce((a, b) => a + b, 0);
  for (let i = 0; i < kernel; i++) weights[i]! /= sum;
  const { width, height, channels } = image;
  const across = pass(Float64Array.from(image.data), height, width, channels, weights);
  const down = pass(across, 1, height, width * channels, weights);
  const data = new Uint8ClampedArray(down.length);
  data.set(down);
  return { ...image, data };
}

/** Filters `outer` lines of `length` groups of `step` values along the groups; beyond the ends it reads backwards. */
function pass(values: Float64Array, outer: number, length: number, step: number, weights: Float64Array): Float64Array {
  const half = (weights.length - 1) / 2;
  const out = new Float64Array(values.length);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < length; i++) {
      const to = (o * length + i) * step;
      for (let t = 0; t < weights.length; t++) {
        const at = Math.abs(i + t - half);
        const from = (o * length + (at < length ? at : 2 * length - 2 - at)) * step;
        const w = weights[t]!;
        for (let s = 0; s < step; s++) out[to + s]! += values[from + s]! * w;
      }
    }
  }
  return out;
}
