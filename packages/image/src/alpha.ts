import type { Color, Image } from "./image.ts";

/** a · b / 255 for bytes, rounded as Pillow's MULDIV255. */
export function mulDiv255(a: number, b: number): number {
  const t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

/** Colours multiplied by alpha, Pillow's RGBA → RGBa. */
export function premultiply(image: Image): Image {
  const data = new Uint8ClampedArray(image.data.length);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = image.data[i + 3]!;
    data[i] = mulDiv255(image.data[i]!, alpha);
    data[i + 1] = mulDiv255(image.data[i + 1]!, alpha);
    data[i + 2] = mulDiv255(image.data[i + 2]!, alpha);
    data[i + 3] = alpha;
  }
  return { ...image, data };
}

/** Colours divided by alpha, Pillow's RGBa → RGBA. */
export function unpremultiply(image: Image): Image {
  const data = new Uint8ClampedArray(image.data);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3]!;
    if (alpha === 0 || alpha === 255) continue;
    for (let c = i; c < i + 3; c++) data[c] = Math.trunc((255 * data[c]!) / alpha);
  }
  return { ...image, data };
}

/** RGB of an RGBA image laid over a colour: `alpha · colour + (1 - alpha) · background`, rounded. */
export function composite(image: Image, background: Color): Image {
  if (image.channels !== 4) return image;
  const { data } = image;
  const out = new Uint8ClampedArray((data.length / 4) * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3]!;
    for (let c = 0; c < 3; c++) {
      const t = data[from + c]! * alpha + background[c]! * (255 - alpha) + 128;
      out[to + c] = ((t >> 8) + t) >> 8;
    }
  }
  return { ...image, channels: 3, data: out };
}
