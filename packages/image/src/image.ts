import { VlmError } from "@vlm/core";

/**
 * Decoded pixels: rows from the top, channels interleaved, 8 bits each.
 * `channels` is 1 (grey), 3 (red, green, blue) or 4 (with straight, not premultiplied, alpha).
 */
export type Image = {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  /** `width * height * channels` values. */
  readonly data: Uint8Array | Uint8ClampedArray;
  /** How many frames the file holds, when it is an animation; the pixels are those of the first. */
  readonly frames?: number;
};

/** A colour as red, green, blue, 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/**
 * Checks pixels made elsewhere and wraps them as an `Image`, without a copy.
 * @throws `ShapeError` when a size is not a positive integer, channels are not 1, 3 or 4, or the length does not fit.
 */
export function createImage(
  data: Uint8Array | Uint8ClampedArray,
  size: { width: number; height: number; channels: 1 | 3 | 4 },
): Image {
  const image = { width: size.width, height: size.height, channels: size.channels, data };
  checkImage(image, "createImage");
  return image;
}

/** Throws unless the fields of an image agree with each other. */
export function checkImage(image: Image, where: string): void {
  const { width, height, channels, data } = image;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new VlmError("ShapeError", "IM_DIMENSION", {
      what: `an image is at least 1 × 1 whole pixels, this one is ${width} × ${height}`,
      where,
      hint: "width and height must be positive integers",
      details: { width, height },
    });
  }
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new VlmError("ShapeError", "IM_CHANNELS", {
      what: `an image has 1, 3 or 4 channels, this one has ${channels}`,
      where,
      hint: "convert the pixels to grey, RGB or RGBA first",
      details: { channels },
    });
  }
  if (!(data instanceof Uint8Array) && !(data instanceof Uint8ClampedArray)) {
    throw new VlmError("DTypeError", "IM_DTYPE", {
      what: "pixels are a Uint8Array or Uint8ClampedArray with values 0 to 255",
      where,
      hint: "use imageFromFloats for values 0 to 1",
    });
  }
  if (data.length !== width * height * channels) {
    throw new VlmError("ShapeError", "IM_LENGTH", {
      what: `${width} × ${height} × ${channels} needs ${width * height * channels} values, the array has ${data.length}`,
      where,
      hint: "check that width and height are not swapped and that rows have no padding",
      details: { width, height, channels, length: data.length },
    });
  }
}

/**
 * An image from floating-point values 0 to 1, rounded to the nearest of 256 levels.
 * @throws `ShapeError` for a wrong length, `NonFiniteError` for NaN or infinity.
 */
export function imageFromFloats(
  values: ArrayLike<number>,
  size: { width: number; height: number; channels: 1 | 3 | 4 },
): Image {
  const data = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) {
      throw new VlmError("NonFiniteError", "IM_NON_FINITE", {
        what: `pixel value ${i} is ${value}`,
        where: "imageFromFloats",
        hint: "pixels are finite numbers from 0 to 1",
        details: { index: i },
      });
    }
    data[i] = value * 255;
  }
  return createImage(data, size);
}
