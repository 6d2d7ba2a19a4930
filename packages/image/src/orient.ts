import type { Image } from "./image.ts";

/**
 * Turns pixels upright by their EXIF orientation: 1 as is, 2 mirrored, 3 upside down, 4 mirrored upside down,
 * 5 to 8 the same with rows and columns swapped (EXIF 2.32, tag 0x0112).
 */
export function orient(image: Image, orientation: number): Image {
  if (orientation <= 1 || orientation > 8) return image;
  const { channels } = image;
  const swapped = orientation >= 5;
  const width = swapped ? image.height : image.width;
  const height = swapped ? image.width : image.height;
  const mirrorX = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
  const mirrorY = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;
  const data = new Uint8ClampedArray(image.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // The source pixel, in the source's own axes.
      const sx = swapped ? y : x;
      const sy = swapped ? x : y;
      const column = mirrorX ? image.width - 1 - sx : sx;
      const row = mirrorY ? image.height - 1 - sy : sy;
      const from = (row * image.width + column) * channels;
      for (let c = 0; c < channels; c++) data[to++] = image.data[from + c]!;
    }
  }
  return { ...image, width, height, data };
}
