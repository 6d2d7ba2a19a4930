/** Which axis of a loop kernel is vectorised. */
import type { Expr } from "../../ir/expr.ts";
import type { LoopKernel } from "../../ir/kernel.ts";
import { type Linear, strideOf } from "../../ir/linear.ts";
import type { Values } from "./values.ts";

type Access = { index: Linear; store: boolean };

/** All loads and stores of a kernel, also those inside guards and indices. */
export function accesses(values: Values, kernel: LoopKernel): Access[] {
  const seen = new Set<Expr>();
  const out: Access[] = [];
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
      out.push({ index: expr.index, store: false });
      visitIndex(expr.index);
    } else if (expr.kind === "apply") expr.args.forEach(visit);
    else if (expr.kind === "guard") visit(expr.value);
  };
  for (const stage of kernel.stages) {
    visit(stage.value);
    if (stage.kind === "store") out.push({ index: stage.index, store: true });
  }
  return out;
}

/** The axis whose vectorisation makes an element cheapest, by a rough count of instructions; −1 when there is none. */
export function chooseVector(sizes: readonly number[], outer: number, nodes: number, all: readonly Access[]): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const n = sizes[axis]!;
    if (n === 1) continue;
    let vector = nodes;
    for (const { index, store } of all) {
      const stride = strideOf(index, axis);
      if (stride === null) vector += 24;
      else if (stride === 1) vector += 1;
      else if (stride !== 0) vector += store ? 10 : 8;
    }
    const perRow = 12 + (axis >= outer ? 8 : 0);
    const cost = (Math.floor(n / 4) * vector + (n % 4) * (nodes + all.length) + perRow) / n;
    if (cost < least * 0.98) {
      best = axis;
      least = cost;
    }
  }
  return best;
}
