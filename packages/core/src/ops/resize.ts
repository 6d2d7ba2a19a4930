/** Resizing of images and feature maps [B C S…], differentiable, by small matrices or index views. */
import { isFloat } from "../dtype.ts";
import { expectWord } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { type PerAxis, perAxis } from "./conv.ts";
import { repeat } from "./join.ts";
import { iota } from "./source.ts";
import { take } from "./take.ts";

/** How samples between pixels are found. */
export type ResizeMode = "nearest" | "linear" | "cubic";

/** Options of `resize`. */
export type ResizeOptions = {
  /** "linear" is bilinear on two axes, "cubic" bicubic (Keys 1981 with a = −0.75, as PyTorch). Default "linear". */
  mode?: ResizeMode;
  /** The first and last samples of input and output coincide; else pixels are areas and centres are aligned. */
  alignCorners?: boolean;
};

/**
 * [B C S…] to spatial size `size`, PyTorch's interpolate without antialiasing. "nearest" takes ⌊o·in/out⌋.
 * For reading images as a model's preprocessor does, see @vlm/image.
 */
export function resize(x: Tensor, size: PerAxis, options: ResizeOptions = {}): Tensor {
  const { mode = "linear", alignCorners = false } = options;
  expectWord("resize", "mode", mode, ["nearest", "linear", "cubic"]);
  const target = perAxis("resize", "size", size, x.rank - 2, 1);
  let y = mode === "nearest" ? x : x.cast("f32");
  target.forEach((out, i) => {
    const axis = i + 2;
    const n = x.shape[axis]!;
    if (out === n) return;
    if (mode === "nearest") {
      y = out % n === 0 ? repeat(y, out / n, axis) : take(y, iota(out).mul(n).div(out), axis);
      return;
    }
    const weights = mode === "linear" ? linearWeights(n, out, alignCorners) : cubicWeights(n, out, alignCorners);
    y = y.transpose(axis, -1).matmul(weights.transpose()).transpose(axis, -1);
  });
  return isFloat(x.dtype) ? y.cast(x.dtype) : y;
}

/** Whole and fractional part of each output sample's place in the input: [out 1]. Exact: quotients of integers. */
function places(n: number, out: number, alignCorners: boolean, clamped: boolean): { whole: Tensor; part: Tensor } {
  const o = iota(out).reshape([out, 1]);
  const divisor = alignCorners ? Math.max(1, out - 1) : 2 * out;
  const exact = alignCorners ? o.mul(n - 1) : o.mul(2).add(1).mul(n).sub(out);
  const numerator = clamped ? exact.maximum(0) : exact;
  // Shifted up, so that the quotient is taken of a number ≥ 0.
  const lifted = numerator.add(divisor);
  const quotient = lifted.div(divisor);
  const part = lifted.sub(quotient.mul(divisor)).cast("f32").div(divisor);
  return { whole: quotient.sub(1), part };
}

/** [out n]: the sum over taps of weight where the tap, kept inside, is the column. */
function weightMatrix(n: number, taps: readonly { at: Tensor; weight: Tensor }[]): Tensor {
  const column = iota(n).reshape([1, n]);
  return taps
    .map(({ at, weight }) =>
      at
        .maximum(0)
        .minimum(n - 1)
        .eq(column)
        .where(weight, 0),
    )
    .reduce((a, b) => a.add(b));
}

function linearWeights(n: number, out: number, alignCorners: boolean): Tensor {
  const { whole, part } = places(n, out, alignCorners, true);
  return weightMatrix(n, [
    { at: whole, weight: part.neg().add(1) },
    { at: whole.add(1), weight: part },
  ]);
}

const CUBIC = -0.75;

function cubicWeights(n: number, out: number, alignCorners: boolean): Tensor {
  const { whole, part } = places(n, out, alignCorners, false);
  /** Distance 0 … 1. */
  const near = (d: Tensor): Tensor =>
    d
      .mul(CUBIC + 2)
      .sub(CUBIC + 3)
      .mul(d)
      .mul(d)
      .add(1);
  /** Distance 1 … 2. */
  const far = (d: Tensor): Tensor =>
    d
      .mul(CUBIC)
      .sub(5 * CUBIC)
      .mul(d)
      .add(8 * CUBIC)
      .mul(d)
      .sub(4 * CUBIC);
  const rest = part.neg().add(1);
  return weightMatrix(n, [
    { at: whole.sub(1), weight: far(part.add(1)) },
    { at: whole, weight: near(part) },
    { at: whole.add(1), weight: near(rest) },
    { at: whole.add(2), weight: far(rest.add(1)) },
  ]);
}
