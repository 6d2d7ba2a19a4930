/** Which axis of a loop kernel is vectorised. */
import type { Expr } from "../../ir/expr.ts";
import type { LoopKernel } from "../../ir/kernel.ts";
import { type Linear, strideOf } from "../../ir/linear.ts";
import type { Values } from "./values.ts";

type Access = { index: Linear; store: boolean };

/** What a kernel does for each element of its loops, or once for each outer element. */
export type Part = { nodes: number; accesses: readonly Access[] };

/** Loads and stores of stages, also those inside guards and indices, and how many operations there are. */
export function partOf(values: Values, stages: LoopKernel["stages"]): Part {
  const seen = new Set<Expr>();
  const accesses: Access[] = [];
  const visitIndex = (index: Linear): void => {
    for (const { atom } of index.terms) {
      if (atom.kind === "value") visit(atom.value);
      else if (atom.kind !== "axis") visitIndex(atom.of);
    }
  };
  const visit = (source: Expr): void => {
    const expr = values.expand(source);
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "load") {
      accesses.push({ index: expr.index, store: false });
      visitIndex(expr.index);
    } else if (expr.kind === "apply") expr.args.forEach(visit);
    else if (expr.kind === "guard") visit(expr.value);
  };
  for (const stage of stages) {
    visit(stage.value);
    if (stage.kind === "store") accesses.push({ index: stage.index, store: true });
  }
  return { nodes: values.countNodes(stages.map(({ value }) => value)), accesses };
}

/** Instructions for an element when `axis` is vectorised, roughly. */
function costOf({ nodes, accesses }: Part, axis: number, n: number): number {
  let vector = nodes;
  for (const { index, store } of accesses) {
    const stride = strideOf(index, axis);
    if (stride === null) vector += 24;
    else if (stride === 1) vector += 1;
    else if (stride !== 0) vector += store ? 10 : 8;
  }
  return (Math.floor(n / 4) * vector + (n % 4) * (nodes + accesses.length)) / n;
}

/**
 * The axis whose vectorisation makes a kernel cheapest; −1 when there is none. `looped` is done for each element of all
 * loops, `once` after the inner ones: where an inner axis is vectorised, one element at a time.
 */
export function chooseVector({ outer, inner }: LoopKernel, looped: Part, once: Part): number {
  const sizes = [...outer, ...inner];
  const times = inner.reduce((product, n) => product * n, 1);
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const n = sizes[axis]!;
    if (n === 1) continue;
    const isInner = axis >= outer.length;
    const perRow = (12 + (isInner ? 8 : 0)) / n;
    const after = isInner ? once.nodes + once.accesses.length : costOf(once, axis, n);
    const cost = times * (costOf(looped, axis, n) + perRow) + after;
    if (cost < least * 0.98) {
      best = axis;
      least = cost;
    }
  }
  return best;
}
