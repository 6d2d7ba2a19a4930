import { VlmError } from "@vlm/core";
import { toRgb } from "../convert.ts";
import { type Color, checkImage, type Image } from "../image.ts";
import { resizeFloat } from "../resize-float.ts";

/** Numbers over an image, row by row: attention weights of patches, a saliency map. */
export type HeatMap = { data: ArrayLike<number>; height: number; width: number };

/** Options of `overlayHeatMap`. */
export type OverlayOptions = {
  /** How much of the colour covers the picture where the map is highest; default 0.6. */
  opacity?: number;
  /** The numbers that become the ends of the scale; default the map's own smallest and largest. */
  range?: readonly [low: number, high: number];
  /** "smooth" (default) interpolates between cells, "cells" shows each as a square. */
  style?: "smooth" | "cells";
};

/** Dark violet over red and orange to light yellow: rising in lightness, so that it also reads in grey. */
const SCALE: readonly Color[] = [
  [10, 5, 40],
  [90, 15, 110],
  [170, 40, 100],
  [230, 90, 50],
  [250, 165, 20],
  [250, 250, 160],
];

/**
 * Lays a heat map over an image, stretched to its size. A map that is equal everywhere shows as its lowest colour.
 * @throws `ShapeError` when the map's length is not `height · width`, `NonFiniteError` for NaN or infinity
 */
export function overlayHeatMap(image: Image, map: HeatMap, options: OverlayOptions = {}): Image {
  checkImage(image, "overlayHeatMap");
  const { opacity = 0.6, style = "smooth" } = options;
  const values = Float32Array.from(map.data);
  checkMap(map, values);
  const [low, high] = options.range ?? extremes(values);
  for (let i = 0; i < values.length; i++) {
    values[i] = high > low ? Math.min(1, Math.max(0, (values[i]! - low) / (high - low))) : 0;
  }
  const { width, height } = image;
  const pixels = { data: values, shape: [1, map.height, map.width] as [number, number, number] };
  const heat = resizeFloat(pixels, { width, height, filter: style === "smooth" ? "bilinear" : "box" }).data;
  const base = toRgb(image).data;
  const data = new Uint8ClampedArray(base.length);
  for (let i = 0; i < heat.length; i++) {
    const level = Math.min(1, Math.max(0, heat[i]!));
    const color = colorOf(level);
    const cover = opacity * (0.35 + 0.65 * level);
    for (let c = 0; c < 3; c++) data[i * 3 + c] = base[i * 3 + c]! * (1 - cover) + color[c]! * cover;
  }
  return { width, height, channels: 3, data };
}

function colorOf(level: number): Color {
  const position = level * (SCALE.length - 1);
  const below = Math.min(Math.floor(position), SCALE.length - 2);
  const part = position - below;
  const [from, to] = [SCALE[below]!, SCALE[below + 1]!];
  return [0, 1, 2].map((c) => from[c]! + (to[c]! - from[c]!) * part) as unknown as Color;
}

function extremes(values: Float32Array): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

function checkMap(map: HeatMap, values: Float32Array): void {
  if (values.length !== map.height * map.width || values.length === 0) {
    throw new VlmError("ShapeError", "IM_MAP_SHAPE", {
      what: `a map of ${map.height} × ${map.width} has ${map.height * map.width} numbers, this one ${values.length}`,
      where: "overlayHeatMap",
      hint: "drop the class token first: a 14 × 14 grid has 196 numbers, not 197",
      details: { height: map.height, width: map.width, length: values.length },
    });
  }
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  throw new VlmError("NonFiniteError", "IM_NON_FINITE", {
    what: `number ${bad} of the map is ${values[bad]}`,
    where: "overlayHeatMap",
    hint: "find the first module whose output is not finite",
    details: { index: bad },
  });
}
