import { composite, mulDiv255 } from "../alpha.ts";
import { toGray, toRgb, toRgba } from "../convert.ts";
import type { Color, Image } from "../image.ts";
import { orient } from "../orient.ts";
import type { Raster } from "./raster.ts";

/** What the caller wants of decoded pixels. */
export type Finish = {
  channels: 1 | 3 | 4;
  background?: Color | undefined;
  orientation: number;
  /** 16-bit grey: keep the upper byte, or clip at 255 as Pillow's `convert("RGB")` does. */
  clip16: boolean;
  frames: number;
};

/** From what a decoder found to what the caller asked for: 8 bits, upright, 1, 3 or 4 channels. */
export function finish(raster: Raster, wish: Finish): Image {
  const bytes = toBytes(raster, wish.clip16);
  let image: Image = raster.cmyk ? fromCmyk({ ...raster, data: bytes }) : expand({ ...raster, data: bytes });
  image = orient(image, wish.orientation);
  if (wish.background !== undefined && wish.channels !== 4) image = composite(image, wish.background);
  image = wish.channels === 1 ? toGray(image) : wish.channels === 3 ? toRgb(image) : toRgba(image);
  return wish.frames > 1 ? { ...image, frames: wish.frames } : image;
}

function toBytes({ data, channels, keyed }: Raster, clip: boolean): Uint8Array | Uint8ClampedArray {
  if (!(data instanceof Uint16Array)) return data;
  const out = new Uint8ClampedArray(data.length);
  // Pillow clips only grey without stored alpha (its mode I;16); others lose their lower byte there too.
  const clipped = clip && (channels === 1 || (channels === 2 && keyed === true));
  for (let i = 0; i < data.length; i++) out[i] = clipped ? data[i]! : data[i]! >> 8;
  return out;
}

type Bytes = Omit<Raster, "data"> & { data: Uint8Array | Uint8ClampedArray };

function expand({ width, height, channels, data }: Bytes): Image {
  if (channels !== 2) return { width, height, channels, data };
  const out = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    out[i * 4] = out[i * 4 + 1] = out[i * 4 + 2] = data[i * 2]!;
    out[i * 4 + 3] = data[i * 2 + 1]!;
  }
  return { width, height, channels: 4, data: out };
}

/** Pillow's formula, without a colour profile: (255 - K) · (255 - C) / 255 for each ink. */
function fromCmyk({ width, height, data }: Bytes): Image {
  const out = new Uint8ClampedArray(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const light = 255 - data[from + 3]!;
    for (let c = 0; c < 3; c++) out[to + c] = light - mulDiv255(data[from + c]!, light);
  }
  return { width, height, channels: 3, data: out };
}
