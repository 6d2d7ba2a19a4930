/** What indices and values depend on: loop axes and reduce stages, one bit each. Shared parts are walked once. */
import type { Expr } from "./expr.ts";
import type { Atom, Linear } from "./linear.ts";

/** Bits of the loop axes that an index reads. */
export function axesOfIndex(index: Linear): number {
  let mask = 0;
  for (const { atom } of index.terms) mask |= axesOfAtom(atom);
  return mask;
}

export function axesOfAtom(atom: Atom): number {
  if (atom.kind === "axis") return 1 << atom.axis;
  return atom.kind === "value" ? axesOf(atom.value) : axesOfIndex(atom.of);
}

const knownAxes = new WeakMap<Expr, number>();

/** Bits of the loop axes that a value depends on. */
export function axesOf(expr: Expr): number {
  let mask = knownAxes.get(expr);
  if (mask === undefined) {
    mask = 0;
    if (expr.kind === "load" || expr.kind === "index") mask = axesOfIndex(expr.index);
    else if (expr.kind === "apply") for (const arg of expr.args) mask |= axesOf(arg);
    else if (expr.kind === "guard") {
      mask = axesOf(expr.value);
      for (const { index } of expr.conditions) mask |= axesOfIndex(index);
    }
    knownAxes.set(expr, mask);
  }
  return mask;
}

const knownStages = new WeakMap<Expr, number>();

/** Bits of the reduce stages whose results a value reads. */
export function stagesOf(expr: Expr): number {
  let mask = knownStages.get(expr);
  if (mask === undefined) {
    mask = 0;
    if (expr.kind === "stage") mask = 1 << expr.stage;
    else if (expr.kind === "load" || expr.kind === "index") mask = stagesOfIndex(expr.index);
    else if (expr.kind === "apply") for (const arg of expr.args) mask |= stagesOf(arg);
    else if (expr.kind === "guard") {
      mask = stagesOf(expr.value);
      for (const { index } of expr.conditions) mask |= stagesOfIndex(index);
    }
    knownStages.set(expr, mask);
  }
  return mask;
}

export function stagesOfIndex(index: Linear): number {
  let mask = 0;
  for (const { atom } of index.terms) {
    if (atom.kind === "value") mask |= stagesOf(atom.value);
    else if (atom.kind !== "axis") mask |= stagesOfIndex(atom.of);
  }
  return mask;
}
