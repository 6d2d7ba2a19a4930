import { VlmError } from "@vlm/core";
import { luma, toGray, toRgb } from "../convert.ts";
import { checkImage, type Image } from "../image.ts";

/** Pillow's `Image.blend`, single precision, truncated: `a + factor · (b - a)` cut to 0..255. */
function blend(from: number, to: number, factor: number): number {
  const value = Math.fround(from + factor * (to - from));
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
}

function checkFactor(name: string, factor: number, low: number, high: number): void {
  if (factor >= low && factor <= high) return;
  throw new VlmError("ArgumentError", "IM_FACTOR", {
    what: `${name} has factor ${factor}`,
    where: name,
    hint: high === Number.MAX_VALUE ? "it is 0 or more; 1 changes nothing" : `it lies from ${low} to ${high}`,
    details: { factor },
  });
}

/** Each color channel through a function; alpha is kept. */
function mapColors(image: Image, change: (value: number, at: number) => number): Image {
  const { data, channels } = image;
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) out[i] = channels === 4 && i % 4 === 3 ? data[i]! : change(data[i]!, i);
  return { ...image, data: out };
}

/** Brightness as `ImageEnhance.Brightness`: 0 is black, 1 unchanged. */
export function adjustBrightness(image: Image, factor: number): Image {
  checkFactor("adjustBrightness", factor, 0, Number.MAX_VALUE);
  const f = Math.fround(factor);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => blend(0, value, f));
  return factor === 1 ? image : mapColors(image, (value) => table[value]!);
}

/** Contrast as `ImageEnhance.Contrast`: 0 is the picture's mean grey everywhere, 1 unchanged. */
export function adjustContrast(image: Image, factor: number): Image {
  checkFactor("adjustContrast", factor, 0, Number.MAX_VALUE);
  const gray = toGray(image).data;
  let sum = 0;
  for (const value of gray) sum += value;
  const mean = Math.trunc(sum / gray.length + 0.5);
  const f = Math.fround(factor);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => blend(mean, value, f));
  return factor === 1 ? image : mapColors(image, (value) => table[value]!);
}

/** Saturation as `ImageEnhance.Color`: 0 is grey, 1 unchanged. */
export function adjustSaturation(image: Image, factor: number): Image {
  checkFactor("adjustSaturation", factor, 0, Number.MAX_VALUE);
  if (image.channels === 1 || factor === 1) return image;
  const f = Math.fround(factor);
  const { data, channels } = image;
  return mapColors(image, (value, at) => {
    const pixel = at - (at % channels);
    return blend(luma(data[pixel]!, data[pixel + 1]!, data[pixel + 2]!), value, f);
  });
}

/** Hue turned by `shift` of a full circle, -0.5 to 0.5, as torchvision turns a Pillow image (8-bit HSV). */
export function adjustHue(image: Image, shift: number): Image {
  checkFactor("adjustHue", shift, -0.5, 0.5);
  if (image.channels === 1) return image;
  const turn = Math.trunc(shift * 255) & 255;
  const { data, channels } = image;
  const out = new Uint8ClampedArray(data);
  for (let i = 0; i < data.length; i += channels) turnHue(out, i, turn);
  return { ...image, data: out };
}

/** RGB → HSV → RGB with Pillow's bytes and single-precision steps (Convert.c), the hue moved by `turn` of 256. */
function turnHue(data: Uint8ClampedArray, at: number, turn: number): void {
  const fround = Math.fround;
  const [r, g, b] = [data[at]!, data[at + 1]!, data[at + 2]!];
  const most = Math.max(r, g, b);
  const spread = most - Math.min(r, g, b);
  let hue = 0;
  let saturation = 0;
  if (spread > 0) {
    const [rc, gc, bc] = [fround((most - r) / spread), fround((most - g) / spread), fround((most - b) / spread)];
    const sector = fround(r === most ? fround(bc - gc) : g === most ? 2 + rc - bc : 4 + gc - rc);
    hue = Math.min(255, Math.trunc(fround((sector / 6 + 1) % 1) * 255));
    saturation = Math.min(255, Math.trunc(fround(spread / most) * 255));
  }
  if (saturation === 0) {
    data.fill(most, at, at + 3);
    return;
  }
  const turned = (hue + turn) & 255;
  const position = (turned * 6) / 255;
  const sector = Math.floor(position);
  const f = fround(position - sector);
  const s = fround(saturation / 255);
  const p = Math.round(most * (1 - s));
  const q = Math.round(most * (1 - fround(s * f)));
  const t = Math.round(most * (1 - s * (1 - f)));
  const sectors: [number, number, number][] = [
    [most, t, p],
    [q, most, p],
    [p, most, t],
    [p, q, most],
    [t, p, most],
    [most, p, q],
  ];
  data.set(sectors[sector % 6]!, at);
}

/** Grey, in as many channels as before. */
export function grayscale(image: Image): Image {
  checkImage(image, "grayscale");
  if (image.channels === 1) return image;
  const { channels } = image;
  const gray = toRgb(toGray(image));
  if (channels === 3) return gray;
  return mapColors(image, (_, at) => gray.data[Math.floor(at / 4) * 3]!);
}
