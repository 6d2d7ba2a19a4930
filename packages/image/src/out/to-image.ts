import { type Tensor, VlmError } from "@vlm/core";
import { createImage, type Image } from "../image.ts";

/** How numbers become levels. */
export type ToImageOptions = {
  /** Undo `(x - mean) / std` first, as with a preprocessor's `normalize`. */
  normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** The numbers that become black and white; default 0 and 1. Below and above is cut. */
  range?: readonly [black: number, white: number];
};

/**
 * An image from a tensor [C H W] or [H W] with 1, 3 or 4 channels; u8 tensors hold levels 0 to 255 already.
 * @throws `ShapeError` for another shape, `NonFiniteError` for NaN or infinity: such a picture would hide a fault
 */
export async function toImage(tensor: Tensor, options: ToImageOptions = {}): Promise<Image> {
  const { shape } = tensor;
  const [channels, height, width] = shape.length === 2 ? [1, ...shape] : shape;
  const drawable = shape.length === 2 || shape.length === 3;
  if (!drawable || (channels !== 1 && channels !== 3 && channels !== 4)) {
    throw new VlmError("ShapeError", "IM_TENSOR_SHAPE", {
      what: `a tensor [${shape.join(" ")}] is no picture`,
      where: "toImage",
      hint: "pass [H W] or [C H W] with 1, 3 or 4 channels; take one image out of a batch first",
      details: { shape },
    });
  }
  const values = await tensor.data();
  return pixelsToImage(values, [channels, height!, width!], tensor.dtype === "u8" ? { range: [0, 255] } : options);
}

/** `toImage` of values that are not in a tensor: channels first, `shape` [C H W]. */
export function pixelsToImage(
  values: ArrayLike<number>,
  shape: readonly [channels: 1 | 3 | 4, height: number, width: number],
  { normalize, range = [0, 1] }: ToImageOptions = {},
): Image {
  const [channels, height, width] = shape;
  const plane = height * width;
  const data = new Uint8ClampedArray(plane * channels);
  const scale = 255 / (range[1] - range[0]);
  for (let c = 0; c < channels; c++) {
    const std = normalize?.std[c] ?? 1;
    const mean = normalize?.mean[c] ?? 0;
    for (let i = 0; i < plane; i++) {
      const value = values[c * plane + i]! * std + mean;
      if (!Number.isFinite(value)) {
        throw new VlmError("NonFiniteError", "IM_NON_FINITE", {
          what: `the value of channel ${c} at row ${Math.floor(i / width)}, column ${i % width} is ${value}`,
          where: "toImage",
          hint: "find the first module whose output is not finite",
          details: { channel: c, row: Math.floor(i / width), column: i % width },
        });
      }
      data[i * channels + c] = (value - range[0]) * scale;
    }
  }
  return createImage(data, { width, height, channels });
}
