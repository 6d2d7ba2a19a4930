/** Cross entropy of logits. */
import { isFloat } from "../dtype.ts";
import { callKernel } from "../graph/kernel.ts";
import type { KernelOp } from "../op.ts";
import { axisOf, expectWord, sameShape, shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { bitAnd } from "./bits.ts";
import { defineComposite, isZero } from "./composite.ts";
import { checkRange } from "./indices.ts";
import { greatestOp, reduce } from "./reduce.ts";
import { iota } from "./source.ts";

const keep = { keepDims: true };

/**
 * Rows of logits [R C] against targets: loss = Σ t·(lse − x). Inputs: logits, and class ids i32 [R] or probabilities
 * [R C]. Outputs: loss [R] and log Σ eˣ [R]. Attribute: smoothing, the part of the target spread over all classes.
 */
export const crossEntropyOp: KernelOp = defineComposite({
  name: "crossEntropy",
  outputs: ([x]) => [
    { shape: [x!.shape[0]!], dtype: "f32" },
    { shape: [x!.shape[0]!], dtype: "f32" },
  ],
  reference([x, target], { smoothing }) {
    const m = reduce(greatestOp, x!, 1, keep);
    const moved = x!.sub(m);
    const lse = moved.exp().sum(1, keep).log();
    const t = targetRows(x!, target!, smoothing as number);
    // A class that is no target may have the logit −∞.
    const loss = t
      .eq(0)
      .where(0, t.mul(lse.sub(moved)))
      .sum(1);
    return [loss, lse.add(m).reshape([-1])];
  },
  vjp({ dy: [dy, dlse], inputs: [x, target], outputs: [, lse], attributes: { smoothing } }) {
    const column = (v: Tensor): Tensor => v.reshape([-1, 1]);
    const p = x!.sub(column(lse!)).exp();
    const t = targetRows(x!, target!, smoothing as number);
    // Targets given as probabilities need not add up to 1.
    const mass = isFloat(target!.dtype) ? t.sum(1, keep) : null;
    const dx = column(dy!).mul((mass ? p.mul(mass) : p).sub(t));
    const dtarget = isFloat(target!.dtype)
      ? column(dy!)
          .mul(column(lse!).sub(x!))
          .mul(1 - (smoothing as number))
      : null;
    return [isZero(dlse!) ? dx : dx.add(column(dlse!).mul(p)), dtarget];
  },
});

/** The target as rows of probabilities; never stored, only computed inside the sums that need it. */
function targetRows(x: Tensor, target: Tensor, smoothing: number): Tensor {
  const classes = x.shape[1]!;
  const rows = isFloat(target.dtype) ? target : target.reshape([-1, 1]).eq(iota(classes)).cast("f32");
  return smoothing === 0 ? rows : rows.mul(1 - smoothing).add(smoothing / classes);
}

/** Options of `crossEntropy`. */
export type CrossEntropyOptions = {
  /** Axis of the classes; the last by default. */
  axis?: number;
  /** Part of each target that is spread evenly over all classes (Szegedy et al. 2016). Default 0. */
  labelSmoothing?: number;
  /** Class id that counts for nothing. Default −100. */
  ignoreIndex?: number;
  /** Default "mean": over the targets that are not ignored. */
  reduction?: "mean" | "sum" | "none";
};

/**
 * −Σ t·log softmax(logits) in nats, in f32. Targets: class ids (integers, shape without the class axis) or
 * probabilities (floats, the logits' shape). Gives a scalar, or with reduction "none" one loss per target. A class id
 * that is neither a class nor ignored throws `IndexRangeError` in host data, and gives NaN where it is computed.
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing: smoothing = 0, ignoreIndex = -100, reduction = "mean" } = options;
  expectWord("crossEntropy", "reduction", reduction, ["mean", "sum", "none"]);
  const at = axisOf("crossEntropy", options.axis ?? -1, logits.rank);
  const rest = logits.shape.filter((_, i) => i !== at);
  const dense = isFloat(target.dtype);
  if (!sameShape(target.shape, dense ? logits.shape : rest)) {
    throw shapeError(
      "CROSS_ENTROPY_TARGET",
      `crossEntropy: targets ${shown(target.shape)} (${target.dtype}) do not fit logits ${shown(logits.shape)}`,
      `class ids have shape ${shown(rest)} and an integer dtype, probabilities ${shown(logits.shape)} and a float dtype`,
      { logits: logits.shape, target: target.shape },
    );
  }
  const classes = logits.shape[at]!;
  const order = [...logits.shape.map((_, i) => i).filter((i) => i !== at), at];
  const rows = (x: Tensor): Tensor =>
    x
      .permute(order)
      .cast("f32")
      .reshape([x.size / Math.max(1, classes), classes]);
  const ids = dense ? rows(target) : target.cast("i32").reshape([-1]);
  const [losses] = callKernel(crossEntropyOp, [rows(logits), ids], { smoothing });
  if (dense) return finish(losses!, reduction, rest, null);
  const counted = ids.ne(ignoreIndex);
  const known = bitAnd(ids.ge(0), ids.lt(classes)).where(losses!, Number.NaN);
  checkRange("crossEntropy", target, classes, known, ignoreIndex);
  return finish(counted.where(known, 0), reduction, rest, counted);
}

function finish(losses: Tensor, reduction: string, shape: readonly number[], counted: Tensor | null): Tensor {
  if (reduction === "none") return losses.reshape(shape);
  const sum = losses.sum();
  if (reduction === "sum") return sum;
  return counted ? sum.div(counted.cast("f32").sum()) : losses.mean();
}
