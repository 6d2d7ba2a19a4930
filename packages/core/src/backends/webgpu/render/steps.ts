/** How indices move along one loop axis: what may be loaded as a vector, and what is the same for all its lanes. */
import { axesOf } from "../../../ir/dependence.ts";
import type { Expr } from "../../../ir/expr.ts";
import type { Atom, Linear } from "../../../ir/linear.ts";

/** The axis along which a thread handles `lanes` neighbouring elements, starting at multiples of `lanes`. */
export type VectorAxis = { axis: number; lanes: number };

export const SCALAR: VectorAxis = { axis: -1, lanes: 1 };

/** How much the index grows from one lane to the next, when that is the same for all lanes; null when it is not. */
export function stepOf(index: Linear, vector: VectorAxis): number | null {
  let step = 0;
  for (const { atom, times } of index.terms) {
    const own = stepOfAtom(atom, vector);
    if (own === null) return null;
    step += times * own;
  }
  return step;
}

function stepOfAtom(atom: Atom, vector: VectorAxis): number | null {
  if (atom.kind === "axis") return atom.axis === vector.axis ? 1 : 0;
  if (atom.kind === "value") return variesIn(atom.value, vector) ? null : 0;
  const inside = stepOf(atom.of, vector);
  if (inside === 0) return 0;
  // Lanes that start at a multiple of their number stay within one block of `by`.
  if (inside !== 1 || atom.by % vector.lanes !== 0 || !isAligned(atom.of, vector)) return null;
  return atom.kind === "mod" ? 1 : 0;
}

/** Whether the index of lane 0 is a multiple of the number of lanes. */
export function isAligned(index: Linear, vector: VectorAxis): boolean {
  const { lanes } = vector;
  return (
    index.constant % lanes === 0 &&
    index.terms.every(
      ({ atom, times }) => times % lanes === 0 || (Number.isInteger(times) && alignedAtom(atom, vector)),
    )
  );
}

function alignedAtom(atom: Atom, vector: VectorAxis): boolean {
  if (atom.kind === "axis") return atom.axis === vector.axis;
  return atom.kind === "mod" && atom.by % vector.lanes === 0 && isAligned(atom.of, vector);
}

const knownVarying = new WeakMap<Expr, Map<string, boolean>>();

/** Whether a value differs between lanes. */
export function variesIn(expr: Expr, vector: VectorAxis): boolean {
  if (vector.lanes === 1 || (axesOf(expr) & (1 << vector.axis)) === 0) return false;
  let known = knownVarying.get(expr);
  if (!known) knownVarying.set(expr, (known = new Map()));
  const key = `${vector.axis}/${vector.lanes}`;
  let varies = known.get(key);
  if (varies === undefined) known.set(key, (varies = varying(expr, vector)));
  return varies;
}

function varying(expr: Expr, vector: VectorAxis): boolean {
  if (expr.kind === "load" || expr.kind === "index") return stepOf(expr.index, vector) !== 0;
  if (expr.kind === "apply") return expr.args.some((arg) => variesIn(arg, vector));
  if (expr.kind === "guard") {
    return variesIn(expr.value, vector) || expr.conditions.some(({ index }) => stepOf(index, vector) !== 0);
  }
  return false;
}

/** Whether all lanes of a load (or store) at `index` are one aligned run of elements. */
export const isRun = (index: Linear, vector: VectorAxis): boolean =>
  vector.lanes > 1 && stepOf(index, vector) === 1 && isAligned(index, vector);
