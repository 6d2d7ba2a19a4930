/**
 * The loops of a kernel, and which neighbouring axes are one loop: fewer loop variables make shorter indices, and longer
 * inner loops.
 */
import type { Expr } from "../ir/expr.ts";
import type { LoopKernel } from "../ir/kernel.ts";
import { axis, flatten, type Linear, strideOf, unflatten } from "../ir/linear.ts";
import type { Group, Level } from "./group.ts";

/** How the elements of a group's members map to its kernel's loop variables. */
export type Space = {
  outer: readonly number[];
  inner: readonly number[];
  index(shape: readonly number[], level: Level): Linear[];
};

/** One loop variable per axis that is longer than 1. */
export function separate(group: Group, outer: readonly number[], inner: readonly number[]): Space {
  const long = [...outer, ...inner].filter((n) => n !== 1);
  return merged(
    group,
    outer,
    inner,
    outer.filter((n) => n !== 1),
    long.slice(outer.filter((n) => n !== 1).length),
  );
}

/** Loop variables over runs of neighbouring axes. */
export function merged(
  group: Group,
  outer: readonly number[],
  inner: readonly number[],
  outerLoops: readonly number[],
  innerLoops: readonly number[],
): Space {
  const outerVariables = outerLoops.map((size, i) => axis(i, size));
  const innerVariables = innerLoops.map((size, i) => axis(outerLoops.length + i, size));
  const outerIndex = unflatten(flatten(outerVariables, outerLoops), outer);
  const innerIndex = unflatten(flatten(innerVariables, innerLoops), inner);
  let nextOuter = 0;
  let nextInner = 0;
  const full =
    group.axes.length === 0
      ? outerIndex
      : group.full.map((_, i) => (group.axes.includes(i) ? innerIndex[nextInner++]! : outerIndex[nextOuter++]!));
  const outerPosition = flatten(outerIndex, outer);
  const fullPosition = flatten(full, group.full);
  return {
    outer: outerLoops,
    inner: innerLoops,
    index: (shape, level) => unflatten(level === "outer" ? outerPosition : fullPosition, shape),
  };
}

/** Which neighbouring loop axes can be walked as one: everywhere, a step of the left is a whole round of the right. */
export function mergeAxes(kernel: LoopKernel): [number[], number[]] {
  const indices = collectIndices(kernel);
  const sizes = [...kernel.outer, ...kernel.inner];
  const joins = (i: number): boolean =>
    indices.every((index) => {
      const [left, right] = [strideOf(index, i), strideOf(index, i + 1)];
      return left !== null && right !== null && left === right * sizes[i + 1]!;
    });
  const merge = (from: number, to: number): number[] => {
    const loops: number[] = [];
    for (let i = from; i < to; i++) {
      if (i > from && joins(i - 1)) loops.push(loops.pop()! * sizes[i]!);
      else loops.push(sizes[i]!);
    }
    return loops;
  };
  return [merge(0, kernel.outer.length), merge(kernel.outer.length, sizes.length)];
}

function collectIndices(kernel: LoopKernel): Linear[] {
  const found: Linear[] = [];
  const seen = new Set<string>();
  const visitIndex = (index: Linear): void => {
    found.push(index);
    for (const { atom } of index.terms) if (atom.kind === "value") visit(atom.value);
  };
  const visit = (expr: Expr): void => {
    if (seen.has(expr.key)) return;
    seen.add(expr.key);
    if (expr.kind === "load" || expr.kind === "index") visitIndex(expr.index);
    else if (expr.kind === "guard") {
      for (const condition of expr.conditions) visitIndex(condition.index);
      visit(expr.value);
    } else if (expr.kind === "apply") for (const arg of expr.args) visit(arg);
  };
  for (const stage of kernel.stages) {
    visit(stage.value);
    if (stage.kind === "store") visitIndex(stage.index);
  }
  return found;
}
