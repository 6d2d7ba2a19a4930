/** Reductions made of others. */
import { isFloat } from "../dtype.ts";
import { axesOf, axisOf, shapeError, shown, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { bitOr, isNaN as isNan } from "./bits.ts";
import { type Axes, maxOp, minOp, type ReduceOptions, reduce } from "./reduce.ts";
import { iota } from "./source.ts";

/** Options of `variance` and `std`. */
export type VarianceOptions = ReduceOptions & {
  /** Subtracted from the number of elements in the divisor: 1 gives the unbiased estimate. Default 0. */
  correction?: number;
};

/** Mean squared distance from the mean over axes (all by default), in two passes: no cancellation. */
export function variance(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  const float = isFloat(x.dtype) ? x : x.cast("f32");
  const list = axesOf("variance", axes, x.rank);
  const count = sizeOf(list.map((i) => x.shape[i]!));
  const centred = float.sub(float.mean(list, { keepDims: true }));
  return centred
    .mul(centred)
    .sum(list, options)
    .mul(1 / Math.max(0, count - (options.correction ?? 0)));
}

/** Square root of the variance; the gradient of a deviation of 0 is 0. */
export function std(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  const square = variance(x, axes, options);
  const none = square.eq(0);
  return none.where(0, none.where(1, square).sqrt());
}

/** True where any element is true (not 0) over axes (all by default); false for none. */
export const any = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor =>
  reduce(maxOp, x.cast("bool").cast("u32"), axes, options).cast("bool");

/** True where all elements are true (not 0) over axes (all by default); true for none. */
export const all = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor =>
  reduce(minOp, x.cast("bool").cast("u32"), axes, options).cast("bool");

/**
 * Position (i32) of the greatest element along an axis, the first of equals; over all elements without an axis. As in
 * NumPy, NaN counts as greatest (and as least).
 */
export const argmax = (x: Tensor, axis: number | null = null, options: ReduceOptions = {}): Tensor =>
  extremum("argmax", x, axis, options);

/** Position (i32) of the least element along an axis, the first of equals; over all elements without an axis. */
export const argmin = (x: Tensor, axis: number | null = null, options: ReduceOptions = {}): Tensor =>
  extremum("argmin", x, axis, options);

function extremum(name: "argmax" | "argmin", x: Tensor, axis: number | null, options: ReduceOptions): Tensor {
  if (axis === null) {
    const flat = extremum(name, x.reshape([-1]), 0, {});
    return options.keepDims ? flat.reshape(x.shape.map(() => 1)) : flat;
  }
  const at = axisOf(name, axis, x.rank);
  const n = x.shape[at]!;
  if (n === 0)
    throw shapeError("REDUCE_EMPTY", `${name}: axis ${at} of ${shown(x.shape)} is empty`, "there is no position");
  const number = x.dtype === "bool" ? x.cast("u32") : x;
  const value = reduce(name === "argmax" ? maxOp : minOp, number, at, { keepDims: true });
  const along = x.shape.map((size, i) => (i === at ? size : 1));
  const found = isFloat(x.dtype) ? bitOr(x.eq(value), isNan(x)) : x.eq(value);
  return found.where(iota(n).reshape(along), n - 1).min(at, options);
}
