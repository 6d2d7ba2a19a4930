/**
 * An axis that an index takes apart by quotients and remainders (a convolution's windows, channels, image rows) as two
 * nested loops, of which the inner one is free of them.
 */
import type { Expr } from "../../ir/expr.ts";
import { add, axis as axisIndex, type Linear, scale, strideOf, substitute } from "../../ir/linear.ts";
import type { Code } from "./assembler.ts";
import { op } from "./opcodes.ts";
import type { Values } from "./values.ts";

/** An axis as high · part + low, or whole (part 0: `low` is the axis itself). */
export type Split = { expr: Expr; part: number; high: number; low: number };

/**
 * Takes an axis apart so that no quotient or remainder depends on its low part; leaves it whole where there is none or
 * that cannot be.
 */
export function splitAxis(source: Expr, axis: number, size: number, high: number, low: number): Split {
  const whole = { expr: source, part: 0, high, low: axis };
  const part = partOf(indicesOf(source), axis);
  if (part < 4 || part >= size || size % part !== 0) return whole;
  const sum = add(scale(axisIndex(high, size / part), part), axisIndex(low, part));
  const replace = (index: Linear): Linear => substitute(index, (each) => (each === axis ? sum : undefined));
  const walk = (e: Expr): Expr => {
    if (e.kind === "load") return { ...e, index: replace(e.index), key: `${e.key}'${axis}` };
    if (e.kind !== "guard") return e;
    const conditions = e.conditions.map((c) => ({ ...c, index: replace(c.index) }));
    return { ...e, value: walk(e.value), conditions, key: `${e.key}'${axis}` };
  };
  const expr = walk(source);
  const plain = indicesOf(expr).every((index) => strideOf(index, low) !== null);
  return plain ? { expr, part, high, low } : whole;
}

/** What the quotients and remainders of an axis have in common; 0 where it has none, or values read from tensors. */
export function partOf(indices: readonly Linear[], axis: number): number {
  let part = 0;
  let values = false;
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  const visit = (index: Linear): void => {
    for (const { atom } of index.terms) {
      values ||= atom.kind === "value";
      if (atom.kind === "axis" || atom.kind === "value") continue;
      const direct = atom.of.terms.some((term) => term.atom.kind === "axis" && term.atom.axis === axis);
      if (direct) part = gcd(atom.by, part);
      else visit(atom.of);
    }
  };
  indices.forEach(visit);
  return values ? 0 : part;
}

/** All indices in an expression, those of guards too. */
export function indicesOf(source: Expr): Linear[] {
  const seen = new Set<Expr>();
  const found: Linear[] = [];
  const visit = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "load" || expr.kind === "index") found.push(expr.index);
    else if (expr.kind === "apply") expr.args.forEach(visit);
    else if (expr.kind === "guard") {
      found.push(...expr.conditions.map(({ index }) => index));
      visit(expr.value);
    }
  };
  visit(source);
  return found;
}

/** Whether elements lie side by side along the axis. */
export const contiguous = (expr: Expr, axis: number): boolean =>
  expr.kind === "load" ? strideOf(expr.index, axis) === 1 : expr.kind === "guard" && contiguous(expr.value, axis);

/** Loops over an axis from first to end (locals, unchanged), in segments within which its high part is one value. */
export function segments(code: Code, values: Values, split: Split, first: number, end: number, body: () => void): void {
  const { expr, part, high, low } = split;
  const at = code.get(first).keep();
  if (part === 0) {
    values.loop(low, at, { local: end }, 1, body);
    return;
  }
  const [highAt, next, start] = [code.local(), code.local(), code.local()];
  code.while(at, { local: end }, 0, () => {
    values.scope(() => {
      code.get(at).i32(part).op(op.divU).tee(highAt).i32(part).op(op.mul).set(start);
      code.get(start).i32(part).op(op.add).tee(next).get(end, next).get(end).op(op.ltS, op.select).set(next);
      values.bindAxis(high, highAt);
      values.hoist([expr]);
      const lowAt = code.get(at, start).op(op.sub).keep();
      const lowEnd = code.get(next, start).op(op.sub).keep();
      values.loop(low, lowAt, { local: lowEnd }, 1, body);
      code.get(next).set(at);
    });
  });
}
