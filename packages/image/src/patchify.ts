import { VlmError } from "@vlm/core";
import type { PixelArray } from "./pixel-array.ts";

/** Order of the values inside a patch: "hwc" row, column, channel (SigLIP 2); "chw" channel first (a convolution). */
export type PatchOrder = "hwc" | "chw";

/**
 * Cuts [C H W] into square patches, row by row: values [N P·P·C] with N = (H / P) · (W / P).
 * @throws `ShapeError` when a side is not a multiple of the patch.
 */
export function patchify(
  pixels: PixelArray,
  patch: number,
  order: PatchOrder = "chw",
): { data: Float32Array; shape: [patches: number, values: number] } {
  const [channels, height, width] = pixels.shape;
  checkPatch(height, width, patch, "patchify");
  const data = new Float32Array(pixels.data.length);
  walk(channels, height, width, patch, order, (flat, at) => {
    data[at] = pixels.data[flat]!;
  });
  return { data, shape: [(height / patch) * (width / patch), patch * patch * channels] };
}

/** The inverse of `patchify`. */
export function unpatchify(
  patches: { data: ArrayLike<number> },
  patch: number,
  shape: readonly [channels: number, height: number, width: number],
  order: PatchOrder = "chw",
): PixelArray {
  const [channels, height, width] = shape;
  checkPatch(height, width, patch, "unpatchify");
  if (patches.data.length !== channels * height * width) {
    throw new VlmError("ShapeError", "IM_PATCH", {
      what: `[${channels} ${height} ${width}] has ${channels * height * width} values, the patches ${patches.data.length}`,
      where: "unpatchify",
      hint: "give the shape that patchify was given",
    });
  }
  const data = new Float32Array(channels * height * width);
  walk(channels, height, width, patch, order, (flat, at) => {
    data[flat] = patches.data[at]!;
  });
  return { data, shape: [channels, height, width] };
}

function walk(
  channels: number,
  height: number,
  width: number,
  patch: number,
  order: PatchOrder,
  visit: (flat: number, at: number) => void,
): void {
  const across = width / patch;
  const values = patch * patch * channels;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const n = Math.floor(y / patch) * across + Math.floor(x / patch);
        const place = (y % patch) * patch + (x % patch);
        const inside = order === "hwc" ? place * channels + c : c * patch * patch + place;
        visit((c * height + y) * width + x, n * values + inside);
      }
    }
  }
}

function checkPatch(height: number, width: number, patch: number, where: string): void {
  if (Number.isInteger(patch) && patch > 0 && height % patch === 0 && width % patch === 0) return;
  throw new VlmError("ShapeError", "IM_PATCH", {
    what: `${height} × ${width} pixels do not divide into patches of ${patch}`,
    where,
    hint: "resize to a multiple of the patch",
    details: { height, width, patch },
  });
}
