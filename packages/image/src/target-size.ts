import { VlmError } from "@vlm/core";
import type { TargetSize } from "./preprocessor.ts";

/** The size an image gets, as Hugging Face's processors compute it. */
export function targetSize(
  image: { width: number; height: number },
  target: TargetSize,
): { width: number; height: number } {
  const { width, height } = image;
  if (target.kind === "exact") return { width: target.width, height: target.height };
  if (target.kind === "within") {
    const ratio = Math.min(target.height / height, target.width / width);
    return atLeastOne(Math.trunc(width * ratio), Math.trunc(height * ratio), image);
  }
  const short = Math.min(width, height);
  const long = Math.max(width, height);
  let size = target.size;
  let exact = size;
  if (target.longest !== undefined && (long / short) * size > target.longest) {
    exact = (target.longest * short) / long;
    size = roundHalfEven(exact);
  }
  if (short === size) return { width, height };
  const other = Math.trunc((exact * long) / short);
  return width <= height ? atLeastOne(size, other, image) : atLeastOne(other, size, image);
}

function atLeastOne(
  width: number,
  height: number,
  image: { width: number; height: number },
): { width: number; height: number } {
  if (width >= 1 && height >= 1) return { width, height };
  throw new VlmError("ArgumentError", "IM_ASPECT", {
    what: `${image.width} × ${image.height} would become ${width} × ${height}: the image is too long and thin for this size`,
    where: "preprocess",
    hint: "crop the image, or use a preprocessor of exact size",
    details: { width: image.width, height: image.height },
  });
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
