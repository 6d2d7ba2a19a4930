import { pad } from "./crop.ts";
import type { Color, Image } from "./image.ts";
import type { Filter } from "./resample.ts";
import { resize } from "./resize.ts";

/** A letterboxed image, and how to map its pixels back: `original = (boxed - offset) / scale`. */
export type Letterboxed = { image: Image; scale: number; left: number; top: number };

/** Fits an image into a size without changing its aspect ratio; the rest is filled with one colour (default black). */
export function letterbox(
  image: Image,
  {
    width,
    height,
    color = [0, 0, 0],
    filter = "bicubic",
  }: { width: number; height: number; color?: Color; filter?: Filter },
): Letterboxed {
  const scale = Math.min(width / image.width, height / image.height);
  const inner = {
    width: Math.min(width, Math.max(1, Math.round(image.width * scale))),
    height: Math.min(height, Math.max(1, Math.round(image.height * scale))),
  };
  const resized = resize(image, { ...inner, filter });
  const left = Math.floor((width - inner.width) / 2);
  const top = Math.floor((height - inner.height) / 2);
  const right = width - inner.width - left;
  const bottom = height - inner.height - top;
  return { image: pad(resized, { left, top, right, bottom }, color), scale, left, top };
}
