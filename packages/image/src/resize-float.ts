import { VlmError } from "@vlm/core";
import type { PixelArray } from "./pixel-array.ts";
import { type Filter, filterShapes, resampleWeights, type Weights } from "./resample.ts";

/**
 * Resizes float values [C H W] as torchvision does a float tensor with `antialias=True` (and Pillow an image of mode
 * F): the same filters as `resize`, without rounding to 8 bits.
 */
export function resizeFloat(
  pixels: PixelArray,
  { width, height, filter = "bicubic" }: { width: number; height: number; filter?: Exclude<Filter, "nearest"> },
): PixelArray {
  const [channels, inHeight, inWidth] = pixels.shape;
  if (![width, height].every((n) => Number.isInteger(n) && n >= 1)) {
    throw new VlmError("ArgumentError", "IM_RESIZE_SIZE", {
      what: `cannot resize to ${width} × ${height}`,
      where: "resizeFloat",
      hint: "give a width and a height of at least 1 whole pixel",
    });
  }
  if (pixels.data.length !== channels * inHeight * inWidth) {
    throw new VlmError("ShapeError", "IM_LENGTH", {
      what: `[${pixels.shape.join(" ")}] needs ${channels * inHeight * inWidth} values, the array has ${pixels.data.length}`,
      where: "resizeFloat",
      hint: "values are channels first: [C H W]",
    });
  }
  const shape = filterShapes[filter];
  let { data } = pixels;
  // Rows of W, then columns: each pass reads lines of `length` values that lie `step` apart.
  if (width !== inWidth) {
    data = pass(data, channels * inHeight, inWidth, 1, resampleWeights(inWidth, width, shape));
  }
  if (height !== inHeight) data = pass(data, channels, inHeight, width, resampleWeights(inHeight, height, shape));
  return { data, shape: [channels, height, width] };
}

function pass(data: Float32Array, outer: number, size: number, step: number, weights: Weights): Float32Array {
  const out = new Float32Array(outer * weights.length * step);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < weights.length; i++) {
      for (let s = 0; s < step; s++) {
        let sum = 0;
        for (let t = 0; t < weights.count[i]!; t++) {
          sum += data[(o * size + weights.start[i]! + t) * step + s]! * weights.weight[i * weights.taps + t]!;
        }
        out[(o * weights.length + i) * step + s] = sum;
      }
    }
  }
  return out;
}
