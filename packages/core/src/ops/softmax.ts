/** Softmax and its relatives: stable forms, computed in f32, one row kernel each. */
import { type DType, expectDType } from "../dtype.ts";
import type { KernelOp } from "../op.ts";
import { axesOf, axisOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { callFirst, defineComposite } from "./composite.ts";
import { type Axes, greatestOp, type ReduceOptions, reduce } from "./reduce.ts";

/** The greatest element along the axes, 0 where that is infinite, so that x − m is never ∞ − ∞. */
function shift(x: Tensor, axes: readonly number[]): Tensor {
  const top = reduce(greatestOp, x, axes, { keepDims: true });
  return top.abs().gt(3.4e38).where(0, top);
}

/** m + log Σ e^(x − m), m = max x. Attribute: axes; they are kept as size 1. */
export const logsumexpOp: KernelOp = defineComposite({
  name: "logsumexp",
  outputs: ([x], { axes }) => [
    { shape: x!.shape.map((n, i) => ((axes as number[]).includes(i) ? 1 : n)), dtype: x!.dtype },
  ],
  reference([x], { axes }) {
    const m = shift(x!, axes as number[]);
    return [
      x!
        .sub(m)
        .exp()
        .sum(axes as number[], { keepDims: true })
        .log()
        .add(m),
    ];
  },
  vjp: ({ dy: [dy], inputs: [x], outputs: [y] }) => [x!.sub(y!).exp().mul(dy!)],
});

/** e^(x − m) / Σ e^(x − m), m = max x. Attribute: axis. */
export const softmaxOp: KernelOp = defineComposite({
  name: "softmax",
  reference([x], { axis }) {
    const e = x!.sub(shift(x!, [axis as number])).exp();
    return [e.mul(e.sum(axis as number, { keepDims: true }).reciprocal())];
  },
  vjp({ dy: [dy], outputs: [y], attributes: { axis } }) {
    const inner = dy!.mul(y!).sum(axis as number, { keepDims: true });
    return [dy!.sub(inner).mul(y!)];
  },
});

/** x − m − log Σ e^(x − m), m = max x. Attribute: axis. */
export const logSoftmaxOp: KernelOp = defineComposite({
  name: "logSoftmax",
  reference([x], { axis }) {
    const moved = x!.sub(shift(x!, [axis as number]));
    return [
      moved.sub(
        moved
          .exp()
          .sum(axis as number, { keepDims: true })
          .log(),
      ),
    ];
  },
  vjp({ dy: [dy], outputs: [y], attributes: { axis } }) {
    return [dy!.sub(y!.exp().mul(dy!.sum(axis as number, { keepDims: true })))];
  },
});

/** Runs `f` in f32 and rounds to the operand's dtype at the end. */
export function inSingle(op: string, x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  expectDType(op, x.dtype, "float");
  const dtype: DType = x.dtype;
  return f(x.cast("f32")).cast(dtype);
}

/** log Σ eˣ over axes (all by default), without overflow; −∞ for a row of −∞, ∞ where an element is. */
export function logsumexp(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  const list = axesOf("logsumexp", axes, x.rank);
  return inSingle("logsumexp", x, (single) => {
    const kept = callFirst(logsumexpOp, [single], { axes: list });
    return options.keepDims ? kept : kept.reshape(x.shape.filter((_, i) => !list.includes(i)));
  });
}

/** eˣ / Σ eˣ along an axis (the last by default). */
export function softmax(x: Tensor, axis = -1): Tensor {
  const at = axisOf("softmax", axis, x.rank);
  return inSingle("softmax", x, (single) => callFirst(softmaxOp, [single], { axis: at }));
}

/** log(softmax(x)) along an axis (the last by default), without losing small probabilities. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  const at = axisOf("logSoftmax", axis, x.rank);
  return inSingle("logSoftmax", x, (single) => callFirst(logSoftmaxOp, [single], { axis: at }));
}
