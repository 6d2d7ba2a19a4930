import { currentPath } from "../context.ts";
import { type DType, expectDType, isFloat } from "../dtype.ts";
import { Node } from "../graph/node.ts";
import type { ElementwiseOp, ReduceOp } from "../op.ts";
import { axesOf, shapeError, shown, sizeOf } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { addOp, maximumOp, minimumOp, mulOp } from "./arithmetic.ts";
import { iota } from "./source.ts";
import { expand, reshape } from "./view.ts";

/** `keepDims` leaves reduced axes in place with size 1. */
export type ReduceOptions = { keepDims?: boolean };
/** One axis, several, or null for all; negative ones count from the last. */
export type Axes = number | readonly number[] | null;

const lowest: Record<DType, number> = {
  f32: Number.NEGATIVE_INFINITY,
  f16: Number.NEGATIVE_INFINITY,
  bf16: Number.NEGATIVE_INFINITY,
  i32: -(2 ** 31),
  u32: 0,
  u8: 0,
  bool: 0,
};
const highest: Record<DType, number> = {
  f32: Number.POSITIVE_INFINITY,
  f16: Number.POSITIVE_INFINITY,
  bf16: Number.POSITIVE_INFINITY,
  i32: 2 ** 31 - 1,
  u32: 2 ** 32 - 1,
  u8: 255,
  bool: 1,
};

/** dy with the reduced axes back as size 1, repeated to x's shape. */
function spread(dy: Tensor, x: Tensor, axes: readonly number[]): Tensor {
  return expand(
    reshape(
      dy,
      x.shape.map((n, i) => (axes.includes(i) ? 1 : n)),
    ),
    x.shape,
  );
}

export const sumOp: ReduceOp = {
  kind: "reduce",
  name: "sum",
  combine: addOp,
  identity: () => 0,
  vjp: ({ dy: [dy], inputs: [x], attributes: { axes } }) => [spread(dy!, x!, axes as number[])],
  test: { ulp: 16, dtypes: ["f32", "f16", "bf16", "i32", "u32"] },
};

/** Equal greatest elements share the gradient evenly. */
export const maxOp: ReduceOp = {
  kind: "reduce",
  name: "max",
  combine: maximumOp,
  identity: (dtype) => lowest[dtype],
  vjp: (c) => [shareAmongEqual(c.dy[0]!, c.inputs[0]!, c.outputs[0]!, c.attributes.axes as number[])],
  test: { ulp: 0, dtypes: ["f32", "f16", "bf16", "i32", "u32", "u8"] },
};

export const minOp: ReduceOp = {
  kind: "reduce",
  name: "min",
  combine: minimumOp,
  identity: (dtype) => highest[dtype],
  vjp: (c) => [shareAmongEqual(c.dy[0]!, c.inputs[0]!, c.outputs[0]!, c.attributes.axes as number[])],
  test: { ulp: 0, dtypes: ["f32", "f16", "bf16", "i32", "u32", "u8"] },
};

/** One machine instruction, which may forget a NaN. */
const greater: ElementwiseOp = {
  kind: "elementwise",
  name: "greater",
  arity: 2,
  dtype: ([x]) => x!,
  eval: ([a, b]) => Math.max(a!, b!),
  wgsl: ([a, b]) => `max(${a}, ${b})`,
};

/** The maximum of what holds no NaN; where it does, any of its elements. For sums that a NaN reaches in any case. */
export const greatestOp: ReduceOp = {
  kind: "reduce",
  name: "greatest",
  combine: greater,
  identity: () => Number.NEGATIVE_INFINITY,
};

function shareAmongEqual(dy: Tensor, x: Tensor, y: Tensor, axes: readonly number[]): Tensor {
  const chosen = x.eq(spread(y, x, axes)).cast(dy.dtype);
  return chosen.mul(spread(dy.div(chosen.sum(axes)), x, axes));
}

export const prodOp: ReduceOp = {
  kind: "reduce",
  name: "prod",
  combine: mulOp,
  identity: () => 1,
  // dy · (product of the others): computed without dividing, so zeros are no special case.
  vjp: ({ dy: [dy], inputs: [x], attributes: { axes } }) => [
    spread(dy!, x!, axes as number[]).mul(productOfOthers(x!, axes as number[])),
  ],
  test: { ulp: 16, domain: [[0.5, 1.5]], dtypes: ["f32", "i32"] },
};

/** For every element the product of all other elements along `axes`: an n × n mask, then a product. */
function productOfOthers(x: Tensor, axes: readonly number[]): Tensor {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...kept, ...axes];
  const moved = x.permute(order);
  const n = sizeOf(axes.map((i) => x.shape[i]!));
  const rows = moved.reshape([-1, 1, n]).expand([moved.size / Math.max(1, n), n, n]);
  const self = eye(n).expand(rows.shape);
  const others = self.where(1, rows).prod(-1);
  const inverse = order.map((_, i) => order.indexOf(i));
  return others.reshape(moved.shape).permute(inverse);
}

/** bool [n n], true on the diagonal. */
export function eye(n: number): Tensor {
  const i = iota(n);
  return i.reshape([n, 1]).eq(i.reshape([1, n]));
}

export function reduce(op: ReduceOp, x: Tensor, axes: Axes | undefined, options: ReduceOptions = {}): Tensor {
  const list = axesOf(op.name, axes, x.rank);
  if (list.length === 0) return x;
  const shape = x.shape.filter((_, i) => !list.includes(i));
  const out = new Tensor(new Node(op, [x.node], { axes: list }, { shape, dtype: x.dtype }, currentPath()));
  if (!options.keepDims) return out;
  return reshape(
    out,
    x.shape.map((n, i) => (list.includes(i) ? 1 : n)),
  );
}

function notEmpty(op: string, x: Tensor, axes: Axes | undefined): void {
  for (const axis of axesOf(op, axes, x.rank)) {
    if (x.shape[axis] === 0) {
      throw shapeError(
        "REDUCE_EMPTY",
        `${op}: axis ${axis} of ${shown(x.shape)} is empty`,
        "an empty axis has no extremum",
      );
    }
  }
}

/** Σ over axes (all by default); the axes are dropped unless `keepDims`. Bool counts as i32. */
export function sum(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return reduce(sumOp, x.dtype === "bool" || x.dtype === "u8" ? x.cast("i32") : x, axes, options);
}

/** Mean over axes (all by default). Integers give f32; f16 and bf16 are summed in f32. */
export function mean(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const count = sizeOf(axesOf("mean", axes, x.rank).map((i) => x.shape[i]!));
  return sum(x.cast("f32"), axes, options)
    .mul(1 / count)
    .cast(isFloat(x.dtype) ? x.dtype : "f32");
}

/** Truth has no order on devices: it is compared as 0 and 1. */
const extremum = (op: ReduceOp, x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor =>
  x.dtype === "bool" ? reduce(op, x.cast("u32"), axes, options).cast("bool") : reduce(op, x, axes, options);

/** Greatest element over axes (all by default). */
export function max(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  notEmpty("max", x, axes);
  return extremum(maxOp, x, axes, options);
}

/** Least element over axes (all by default). */
export function min(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  notEmpty("min", x, axes);
  return extremum(minOp, x, axes, options);
}

/** Product over axes (all by default). */
export function prod(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  expectDType("prod", x.dtype, "number");
  return reduce(prodOp, x.dtype === "u8" ? x.cast("i32") : x, axes, options);
}
