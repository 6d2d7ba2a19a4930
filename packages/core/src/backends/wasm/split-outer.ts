/**
 * Outer axes that indices take apart, as two axes. The bias of query, key and value is one row of numbers, its gradient
 * lies by heads, at v / 32 and v mod 32: with an axis for each, elements lie side by side along the second one.
 */
import { type Expr, ExprBuilder } from "../../ir/expr.ts";
import type { LoopKernel } from "../../ir/kernel.ts";
import { add, axis as axisIndex, type Linear, scale, strideOf, substitute } from "../../ir/linear.ts";
import { indicesOf, partOf } from "./split-axis.ts";

/** Shorter runs are not worth a loop of their own. */
const SHORTEST = 16;

export function splitOuter(kernel: LoopKernel): LoopKernel {
  for (const axis of kernel.outer.keys()) {
    const split = splitAt(kernel, axis);
    if (split) return splitOuter(split);
  }
  return kernel;
}

/** Null where the axis is whole in all indices, or would not be whole afterwards. */
function splitAt(kernel: LoopKernel, at: number): LoopKernel | null {
  const { outer, inner, stages } = kernel;
  const size = outer[at]!;
  const indices = stages.flatMap((stage) => [
    ...indicesOf(stage.value),
    ...(stage.kind === "store" ? [stage.index] : []),
  ]);
  const part = partOf(indices, at);
  if (part < SHORTEST || part >= size || size % part !== 0) return null;
  const sizes = [...outer, ...inner];
  const axes = sizes.map((n, axis) => axisIndex(axis < at ? axis : axis + 1, n));
  axes[at] = add(scale(axisIndex(at, size / part), part), axisIndex(at + 1, part));
  const replace = (index: Linear): Linear => substitute(index, (axis) => axes[axis]);
  if (indices.some((index) => strideOf(replace(index), at + 1) === null)) return null;
  const build = new ExprBuilder("split");
  const done = new Map<Expr, Expr>();
  const rebuilt = (expr: Expr): Expr => {
    let result = done.get(expr);
    if (!result) done.set(expr, (result = rebuild(expr)));
    return result;
  };
  const rebuild = (expr: Expr): Expr => {
    if (expr.kind === "load") return build.load(expr.buffer, replace(expr.index), expr.dtype);
    if (expr.kind === "index") return build.index(replace(expr.index));
    if (expr.kind === "apply") return build.apply(expr.op, expr.args.map(rebuilt), expr.dtype);
    if (expr.kind !== "guard") return expr;
    const conditions = expr.conditions.map((condition) => ({ ...condition, index: replace(condition.index) }));
    return build.guard(conditions, rebuilt(expr.value), expr.otherwise);
  };
  return {
    ...kernel,
    outer: [...outer.slice(0, at), size / part, part, ...outer.slice(at + 1)],
    stages: stages.map((stage) =>
      stage.kind === "store"
        ? { ...stage, index: replace(stage.index), value: rebuilt(stage.value) }
        : { ...stage, value: rebuilt(stage.value) },
    ),
  };
}
