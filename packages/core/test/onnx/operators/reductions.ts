import type { Tensor } from "../../../src/index.ts";
import * as vlm from "../../../src/index.ts";
import { maxOp, minOp, reduce } from "../../../src/ops/reduce.ts";
import type { Call, Operators } from "../adapter.ts";

type Reduction = (x: Tensor, axes: number[], options: { keepDims: boolean }) => Tensor;

const reduction =
  (f: Reduction, before: (x: Tensor) => Tensor = (x) => x) =>
  async (call: Call): Promise<Tensor> => {
    const x = call.x();
    const given = await call.either("axes", 1);
    const keepDims = call.number("keepdims", 1) === 1;
    const none = given === null || given.length === 0;
    const every = call.number("noop_with_empty_axes", 0) ? [] : x.shape.map((_, i) => i);
    const axes = none ? every : [...given];
    return f(before(x), axes, { keepDims }).cast(x.dtype);
  };

/** Extrema of nothing are the lowest and greatest numbers. */
const extremum =
  (op: typeof maxOp): Reduction =>
  (x, axes, options) =>
    x.dtype === "bool" ? reduce(op, x.cast("u32"), axes, options) : reduce(op, x, axes, options);

const arg =
  (greatest: boolean) =>
  (call: Call): Tensor => {
    const axis = call.number("axis", 0);
    const options = { keepDims: call.number("keepdims", 1) === 1 };
    const find = greatest ? vlm.argmax : vlm.argmin;
    if (call.number("select_last_index", 0) === 0) return find(call.x(), axis, options);
    const n = call.x().shape.at(axis)!;
    return find(call.x().flip([axis]), axis, options)
      .neg()
      .add(n - 1);
  };

const float = (x: Tensor): Tensor => (["f32", "f16", "bf16"].includes(x.dtype) ? x : x.cast("f32"));

export const reductions: Operators = {
  ReduceSum: reduction((x, axes, options) => x.sum(axes, options)),
  ReduceMean: reduction((x, axes, options) => x.mean(axes, options)),
  ReduceMax: reduction(extremum(maxOp)),
  ReduceMin: reduction(extremum(minOp)),
  ReduceProd: reduction((x, axes, options) => x.prod(axes, options)),
  ReduceL1: reduction((x, axes, options) => x.sum(axes, options), vlm.abs),
  ReduceL2: reduction((x, axes, options) => float(x).sum(axes, options).sqrt(), vlm.square),
  ReduceSumSquare: reduction((x, axes, options) => x.sum(axes, options), vlm.square),
  ReduceLogSum: reduction((x, axes, options) => float(x).sum(axes, options).log()),
  ReduceLogSumExp: reduction((x, axes, options) => float(x).logsumexp(axes, options)),
  ArgMax: arg(true),
  ArgMin: arg(false),
};
