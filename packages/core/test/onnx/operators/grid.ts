/** Sampling at computed positions, by gathers and weights. */

import type { Tensor } from "../../../src/index.ts";
import * as vlm from "../../../src/index.ts";
import type { Call } from "../adapter.ts";

/** From −1 … 1 to positions 0 … n − 1. */
const unnormalise = (g: Tensor, n: number, aligned: boolean): Tensor =>
  aligned
    ? g.add(1).mul((n - 1) / 2)
    : g
        .add(1)
        .mul(n / 2)
        .sub(0.5);

/** Positions outside folded back at the border. */
function reflect(x: Tensor, low: number, high: number): Tensor {
  const range = high - low;
  if (range <= 0) return x.mul(0);
  const away = vlm.mod(x.sub(low), 2 * range);
  return away
    .gt(range)
    .where(away.neg().add(2 * range), away)
    .add(low);
}

/** One tap of every axis at whole positions (f32 [B P]) → values [B C P], zeros outside where padding is "zeros". */
function valuesAt(x: Tensor, positions: readonly Tensor[], padding: string, aligned: boolean): Tensor {
  const [batch, channels, ...size] = x.shape as [number, number, ...number[]];
  let flat: Tensor = vlm.zeros(positions[0]!.shape, "i32");
  let inside: Tensor = vlm.fill(1, positions[0]!.shape, "bool");
  positions.forEach((p, i) => {
    const n = size[i]!;
    const folded = padding === "reflection" ? reflect(p, aligned ? 0 : -0.5, aligned ? n - 1 : n - 0.5) : p;
    const at = folded.round().cast("i32");
    inside = vlm.logicalAnd(inside, vlm.logicalAnd(p.ge(-0.5), p.le(n - 0.5)));
    flat = flat.mul(n).add(at.clamp(0, n - 1));
  });
  const points = flat.shape[1]!;
  const read = x
    .reshape([batch, channels, -1])
    .gather(flat.reshape([batch, 1, points]).expand([batch, channels, points]), 2);
  return padding === "zeros" ? inside.reshape([batch, 1, points]).where(read, 0) : read;
}

const CUBIC = -0.75;

/** Offsets from ⌊position⌋ and their weights. */
function tapsOf(mode: string, part: Tensor): { offset: number; weight: Tensor }[] {
  if (mode === "linear" || mode === "bilinear") {
    return [
      { offset: 0, weight: part.neg().add(1) },
      { offset: 1, weight: part },
    ];
  }
  const near = (d: Tensor): Tensor =>
    d
      .mul(CUBIC + 2)
      .sub(CUBIC + 3)
      .mul(d)
      .mul(d)
      .add(1);
  const far = (d: Tensor): Tensor =>
    d
      .mul(CUBIC)
      .sub(5 * CUBIC)
      .mul(d)
      .add(8 * CUBIC)
      .mul(d)
      .sub(4 * CUBIC);
  const rest = part.neg().add(1);
  return [
    { offset: -1, weight: far(part.add(1)) },
    { offset: 0, weight: near(part) },
    { offset: 1, weight: near(rest) },
    { offset: 2, weight: far(rest.add(1)) },
  ];
}

export function gridSample(call: Call): Tensor {
  const [x, grid] = [call.x(0), call.x(1)];
  const mode = call.text("mode", "linear");
  const padding = call.text("padding_mode", "zeros");
  const aligned = call.number("align_corners", 0) === 1;
  const size = x.shape.slice(2);
  const batch = grid.shape[0]!;
  const shape = [batch, x.shape[1]!, ...grid.shape.slice(1, -1)];
  const flat = grid.reshape([batch, -1, size.length]);
  // The grid names the innermost axis first.
  let positions = size.map((n, i) => unnormalise(flat.slice(null, null, size.length - 1 - i), n, aligned));
  if (padding === "border") positions = positions.map((p, i) => p.clamp(0, size[i]! - 1));
  if (padding === "reflection")
    positions = positions.map((p, i) => reflect(p, aligned ? 0 : -0.5, aligned ? size[i]! - 1 : size[i]! - 0.5));
  if (mode === "nearest")
    return valuesAt(
      x,
      positions.map((p) => p.round()),
      padding,
      aligned,
    ).reshape(shape);
  const whole = positions.map((p) => p.floor());
  const taps = positions.map((p, i) => tapsOf(mode, p.sub(whole[i]!)));
  let sum: Tensor | null = null;
  const visit = (axis: number, at: Tensor[], weight: Tensor | null): void => {
    if (axis === size.length) {
      const part = valuesAt(x, at, padding, aligned).mul(weight!.reshape([batch, 1, -1]));
      sum = sum ? sum.add(part) : part;
      return;
    }
    for (const tap of taps[axis]!) {
      visit(axis + 1, [...at, whole[axis]!.add(tap.offset)], weight ? weight.mul(tap.weight) : tap.weight);
    }
  };
  visit(0, [], null);
  return sum!.reshape(shape);
}
