import { VlmError } from "@vlm/core";
import type { Color, Image } from "./image.ts";

/** A rectangle in pixels, from the top left corner. */
export type Box = { left: number; top: number; width: number; height: number };

/**
 * The pixels inside a rectangle.
 * @throws `ArgumentError` when the rectangle is empty or reaches outside the image.
 */
export function crop(image: Image, box: Box): Image {
  const { left, top, width, height } = box;
  const whole = [left, top, width, height].every(Number.isInteger);
  if (
    !whole ||
    left < 0 ||
    top < 0 ||
    width < 1 ||
    height < 1 ||
    left + width > image.width ||
    top + height > image.height
  ) {
    throw new VlmError("ArgumentError", "IM_CROP", {
      what: `the rectangle ${width} × ${height} at (${left}, ${top}) is not inside the image of ${image.width} × ${image.height}`,
      where: "crop",
      hint: "use pad first, or centerCrop, which pads",
      details: { ...box, imageWidth: image.width, imageHeight: image.height },
    });
  }
  if (left === 0 && top === 0 && width === image.width && height === image.height) return image;
  const { channels } = image;
  const data = new Uint8ClampedArray(width * height * channels);
  const line = width * channels;
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * channels;
    data.set(image.data.subarray(from, from + line), y * line);
  }
  return { width, height, channels, data };
}

/** How many pixels to add on each side. */
export type Padding = { left?: number; top?: number; right?: number; bottom?: number };

/** Adds a border of one colour (default black; alpha of the border is opaque only when it has a colour). */
export function pad(image: Image, { left = 0, top = 0, right = 0, bottom = 0 }: Padding, color?: Color): Image {
  if (![left, top, right, bottom].every((n) => Number.isInteger(n) && n >= 0)) {
    throw new VlmError("ArgumentError", "IM_PAD", {
      what: `cannot add ${left}, ${top}, ${right}, ${bottom} pixels (left, top, right, bottom)`,
      where: "pad",
      hint: "padding is a whole number of pixels, 0 or more; use crop to cut",
      details: { left, top, right, bottom },
    });
  }
  const { channels } = image;
  const width = image.width + left + right;
  const height = image.height + top + bottom;
  const data = new Uint8ClampedArray(width * height * channels);
  if (color !== undefined) {
    for (let i = 0; i < data.length; i += channels) {
      for (let c = 0; c < channels; c++) data[i + c] = c === 3 ? 255 : color[c]!;
    }
  }
  const line = image.width * channels;
  for (let y = 0; y < image.height; y++) {
    data.set(image.data.subarray(y * line, (y + 1) * line), ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}

/**
 * Where `centerCrop` cuts, when (size - crop) / 2 is not whole: "down" as Hugging Face processors do, "even" (to the
 * nearest even number) as torchvision and OpenAI's CLIP do. 227 → 224 is offset 1 or 2.
 */
export type CropRounding = "down" | "even";

/** The rectangle of a centred crop; its corner is negative where the image is smaller than the crop. */
export function centerBox(
  size: { width: number; height: number },
  width: number,
  height: number,
  rounding: CropRounding = "down",
): Box {
  const offset = (free: number): number => {
    const half = Math.floor(free / 2);
    return rounding === "even" && free % 2 !== 0 && half % 2 !== 0 ? half + 1 : half;
  };
  return { left: offset(size.width - width), top: offset(size.height - height), width, height };
}

/**
 * The middle of an image; where the image is smaller, black is added around it, as in Hugging Face's
 * `center_crop` (numpy: the extra pixel goes to the left and top; torchvision: to the right and bottom).
 */
export function centerCrop(
  image: Image,
  {
    width,
    height,
    rounding = "down",
    like = "pillow",
  }: { width: number; height: number; rounding?: CropRounding; like?: "pillow" | "torchvision" },
): Image {
  const missingX = Math.max(0, width - image.width);
  const missingY = Math.max(0, height - image.height);
  if (missingX === 0 && missingY === 0) return crop(image, centerBox(image, width, height, rounding));
  const before = (missing: number): number => (like === "pillow" ? Math.ceil(missing / 2) : Math.floor(missing / 2));
  const left = before(missingX);
  const top = before(missingY);
  const padded = pad(image, { left, top, right: missingX - left, bottom: missingY - top });
  // Numpy's path cuts from the corner found on the unpadded image, which is negative, plus the padding.
  const box = centerBox(like === "pillow" ? image : padded, width, height, rounding);
  if (like === "pillow") {
    box.left += left;
    box.top += top;
  }
  return crop(padded, box);
}
