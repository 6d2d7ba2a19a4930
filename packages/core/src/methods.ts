/** Attaches the operations to `Tensor` as methods: `x.add(y)` is `add(x, y)`. */
import { clamp, gelu, relu, sigmoid, silu, softplus } from "./ops/activation.ts";
import { add, div, maximum, minimum, mul, neg, sub } from "./ops/arithmetic.ts";
import { cast } from "./ops/cast.ts";
import { eq, ge, gt, le, lt, ne, where } from "./ops/compare.ts";
import { matmul } from "./ops/contract.ts";
import * as create from "./ops/create.ts";
import { erf } from "./ops/error-function.ts";
import { exp, expm1, log, log1p } from "./ops/exponential.ts";
import { tanh } from "./ops/hyperbolic.ts";
import { chunk, split, tile } from "./ops/join.ts";
import { pow, reciprocal, rsqrt, square } from "./ops/power.ts";
import { array, data, dispose, item } from "./ops/read.ts";
import { rearrange } from "./ops/rearrange.ts";
import { max, mean, min, prod, sum } from "./ops/reduce.ts";
import { mod, remainder } from "./ops/remainder.ts";
import { abs, ceil, floor, round, trunc } from "./ops/rounding.ts";
import { cumsum } from "./ops/scan.ts";
import { scatter, scatterAdd } from "./ops/scatter.ts";
import { sign } from "./ops/sign.ts";
import { logSoftmax, logsumexp, softmax } from "./ops/softmax.ts";
import * as source from "./ops/source.ts";
import { sqrt } from "./ops/sqrt.ts";
import { all, any, argmax, argmin, std, variance } from "./ops/statistics.ts";
import { gather, take } from "./ops/take.ts";
import { cos, sin } from "./ops/trigonometric.ts";
import { dilate, expand, flip, pad, permute, reshape, slice, squeeze, transpose, unsqueeze } from "./ops/view.ts";
import { Tensor as BaseTensor } from "./tensor.ts";

const methods = {
  data,
  array,
  item,
  dispose,
  add,
  sub,
  mul,
  div,
  neg,
  abs,
  sign,
  mod,
  remainder,
  pow,
  square,
  sqrt,
  rsqrt,
  reciprocal,
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  tanh,
  erf,
  sigmoid,
  softplus,
  relu,
  gelu,
  silu,
  floor,
  ceil,
  round,
  trunc,
  clamp,
  maximum,
  minimum,
  cast,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  where,
  matmul,
  sum,
  mean,
  max,
  min,
  prod,
  variance,
  std,
  logsumexp,
  any,
  all,
  argmax,
  argmin,
  cumsum,
  softmax,
  logSoftmax,
  take,
  gather,
  scatter,
  scatterAdd,
  split,
  chunk,
  tile,
  rearrange,
  reshape,
  permute,
  transpose,
  expand,
  slice,
  flip,
  pad,
  dilate,
  squeeze,
  unsqueeze,
};

type Rest<F> = F extends (first: infer _, ...rest: infer R) => infer O ? (...args: R) => O : never;

/** Every op whose first argument is a tensor, as a method. */
export type TensorMethods = { [K in keyof typeof methods]: Rest<(typeof methods)[K]> };

function withMethods(base: typeof BaseTensor): typeof BaseTensor {
  for (const [name, op] of Object.entries(methods)) {
    Object.defineProperty(base.prototype, name, {
      value(this: BaseTensor, ...args: unknown[]) {
        return (op as (...args: unknown[]) => unknown)(this, ...args);
      },
      configurable: true,
      writable: true,
    });
  }
  return base;
}

// What makes tensors is bound to names of this module: a bundler that keeps one of them keeps the methods too, although
// the package declares that its modules have no side effects.

/**
 * A lazy, immutable array of numbers. Operations build a graph; nothing runs until data is asked for.
 * Memory is managed: no `dispose` is needed, though `using` and `dispose()` free storage at once.
 */
export const Tensor: typeof BaseTensor = withMethods(BaseTensor);
export type Tensor = BaseTensor;

/**
 * A tensor from numbers: a scalar, nested arrays, or a typed array with a shape.
 * Default dtype: f32 for numbers, bool for booleans, the matching one for typed arrays. Typed arrays are copied.
 * Throws `ShapeError` for ragged nesting and for data that do not fill the shape.
 */
export const tensor: typeof create.tensor = create.tensor;

/** A tensor over a host array that the caller gives away (no copy). */
export const fromHost: typeof create.fromHost = create.fromHost;

/** A tensor of `shape` with `value` everywhere; takes no memory. */
export const fill: typeof source.fill = source.fill;

/** 0 … n − 1 as i32 [n]. */
export const iota: typeof source.iota = source.iota;

/** Ones of `shape`. */
export const ones: typeof source.ones = source.ones;

/** Zeros of `shape`. */
export const zeros: typeof source.zeros = source.zeros;
