/**
 * Integer index expressions, kept in one canonical form: a constant plus a sum of coefficient × atom, where an atom is
 * a loop variable, a quotient, a remainder, or a value read from an index tensor.
 * Every view of a tensor (reshape, permute, slice, ...) is an index expression; no view is ever copied.
 */
import { axesOfAtom, stagesOf, stagesOfIndex } from "./dependence.ts";
import type { Expr } from "./expr.ts";

export type Atom =
  /** Loop variable `axis`, running over 0 … size − 1. */
  | { kind: "axis"; axis: number; size: number; key: string; max: number }
  /** ⌊of / by⌋; `of` is never negative. */
  | { kind: "div"; of: Linear; by: number; key: string; max: number }
  /** of mod by; `of` is never negative. */
  | { kind: "mod"; of: Linear; by: number; key: string; max: number }
  /** An index read from a tensor, already clamped to 0 … size − 1. */
  | { kind: "value"; value: Expr; key: string; max: number };

export type Term = { atom: Atom; times: number };

export type Linear = { readonly constant: number; readonly terms: readonly Term[]; readonly key: string };

/** Holds while low ≤ index < high. */
export type Condition = { index: Linear; low: number; high: number };

export function constant(value: number): Linear {
  return new Sum(value, []);
}

export function axis(id: number, size: number): Linear {
  if (size === 1) return constant(0);
  return fromAtom({ kind: "axis", axis: id, size, key: `v${id}`, max: size - 1 });
}

export function fromValue(value: Expr, size: number, key: string): Linear {
  return fromAtom({ kind: "value", value, key: `[${key}]`, max: size - 1 });
}

const fromAtom = (atom: Atom): Linear => new Sum(0, [{ atom, times: 1 }]);

/** Its key is made when it is asked for: most sums are parts of others and never compared. */
class Sum implements Linear {
  readonly constant: number;
  /** In the order of their atoms' keys, none of them 0 times. */
  readonly terms: readonly Term[];
  private text: string | null = null;

  constructor(value: number, terms: readonly Term[]) {
    this.constant = value;
    this.terms = terms;
  }

  get key(): string {
    if (this.text === null) {
      this.text = `${this.constant}`;
      for (const { atom, times } of this.terms) this.text += `+${times}*${atom.key}`;
    }
    return this.text;
  }
}

export function add(a: Linear, b: Linear): Linear {
  if (a.terms.length === 0 && a.constant === 0) return b;
  if (b.terms.length === 0 && b.constant === 0) return a;
  const terms: Term[] = [];
  let [i, j] = [0, 0];
  while (i < a.terms.length || j < b.terms.length) {
    const [x, y] = [a.terms[i], b.terms[j]];
    if (x && y && x.atom.key === y.atom.key) {
      const times = x.times + y.times;
      if (times !== 0) terms.push({ atom: x.atom, times });
      i++;
      j++;
    } else if (x && (!y || x.atom.key < y.atom.key)) {
      terms.push(x);
      i++;
    } else {
      terms.push(y!);
      j++;
    }
  }
  return rejoin(new Sum(a.constant + b.constant, terms));
}

/** (x div n)·n·c + (x mod n)·c is x·c again: a reshape that undoes another one leaves no trace. */
function rejoin(index: Linear): Linear {
  for (const remainder of index.terms) {
    const { atom, times } = remainder;
    if (atom.kind !== "mod") continue;
    for (const quotient of index.terms) {
      const q = quotient.atom;
      if (q.kind !== "div" || q.by !== atom.by || q.of.key !== atom.of.key) continue;
      if (quotient.times !== times * atom.by) continue;
      const rest = new Sum(
        index.constant,
        index.terms.filter((term) => term !== remainder && term !== quotient),
      );
      return add(rest, scale(atom.of, times));
    }
  }
  return index;
}

export function scale(a: Linear, times: number): Linear {
  if (times === 1) return a;
  if (times === 0) return constant(0);
  return new Sum(
    a.constant * times,
    a.terms.map((term) => ({ atom: term.atom, times: term.times * times })),
  );
}

export function offset(a: Linear, by: number): Linear {
  return by === 0 ? a : new Sum(a.constant + by, a.terms);
}

/** The least and greatest value the index can take. */
export function range(a: Linear): { min: number; max: number } {
  let min = a.constant;
  let max = a.constant;
  for (const { atom, times } of a.terms) {
    if (times > 0) max += times * atom.max;
    else min += times * atom.max;
  }
  return { min, max };
}

/** Splits a = by·quotient + rest such that rest is known to lie in 0 … by − 1; null when that cannot be seen. */
function split(a: Linear, by: number): { quotient: Linear; rest: Linear } | null {
  const whole: Term[] = [];
  const part: Term[] = [];
  for (const term of a.terms) {
    if (term.times % by === 0) whole.push({ atom: term.atom, times: term.times / by });
    else part.push(term);
  }
  const constantQuotient = Math.floor(a.constant / by);
  const rest = new Sum(a.constant - constantQuotient * by, part);
  const { min, max } = range(rest);
  if (min < 0 || max >= by) return null;
  return { quotient: new Sum(constantQuotient, whole), rest };
}

/** ⌊a / by⌋ for a ≥ 0. */
export function div(a: Linear, by: number): Linear {
  if (by === 1) return a;
  const parts = split(a, by);
  if (parts) return parts.quotient;
  const [whole, part] = takeMultiples(a, by);
  if (whole.terms.length > 0) return add(whole, div(part, by));
  const common = commonFactor(a, by);
  if (common) return div(common.quotient, by / common.factor);
  const [only] = a.terms;
  if (a.constant === 0 && a.terms.length === 1 && only && only.times === 1 && only.atom.kind === "div") {
    return div(only.atom.of, only.atom.by * by);
  }
  return fromAtom({ kind: "div", of: a, by, key: `(${a.key})/${by}`, max: Math.floor(range(a).max / by) });
}

/** a mod by for a ≥ 0. */
export function mod(a: Linear, by: number): Linear {
  if (by === 1) return constant(0);
  const parts = split(a, by);
  if (parts) return parts.rest;
  const [whole, part] = takeMultiples(a, by);
  if (whole.terms.length > 0) return mod(part, by);
  const common = commonFactor(a, by);
  if (common) return add(scale(mod(common.quotient, by / common.factor), common.factor), common.rest);
  return fromAtom({ kind: "mod", of: a, by, key: `(${a.key})%${by}`, max: Math.min(by - 1, range(a).max) });
}

/** a = factor·quotient + rest with rest in 0 … factor − 1, for a factor > 1 of `by`: (5·i + j) / 15 is i / 3 for j < 5. */
function commonFactor(a: Linear, by: number): { factor: number; quotient: Linear; rest: Linear } | null {
  const factors = new Set(a.terms.map((term) => gcd(Math.abs(term.times), by)));
  for (const factor of [...factors].sort((x, y) => y - x)) {
    if (factor === 1 || factor === by) continue;
    const parts = split(a, factor);
    if (parts && range(parts.quotient).min >= 0) return { factor, ...parts };
  }
  return null;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Terms divisible by `by` (already divided), and the rest; only when the rest stays non-negative. */
function takeMultiples(a: Linear, by: number): [Linear, Linear] {
  const whole = a.terms.filter((term) => term.times % by === 0);
  const part = new Sum(
    a.constant,
    a.terms.filter((term) => term.times % by !== 0),
  );
  if (range(part).min < 0) return [constant(0), a];
  const quotient = new Sum(
    0,
    whole.map((term) => ({ atom: term.atom, times: term.times / by })),
  );
  return [quotient, part];
}

/** Row-major strides of a contiguous tensor, in elements. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}

/** The row-major position of `index` in a tensor of `shape`. */
export function flatten(index: readonly Linear[], shape: readonly number[]): Linear {
  const strides = rowMajor(shape);
  return index.reduce((sum, part, i) => add(sum, scale(part, shape[i] === 1 ? 0 : strides[i]!)), constant(0));
}

/** The index in a tensor of `shape` whose row-major position is `position`. */
export function unflatten(position: Linear, shape: readonly number[]): Linear[] {
  const strides = rowMajor(shape);
  return shape.map((size, i) => {
    if (size === 1) return constant(0);
    const quotient = div(position, strides[i]!);
    return range(quotient).max < size ? quotient : mod(quotient, size);
  });
}

/** Replaces loop variables. */
export function substitute(a: Linear, replace: (axis: number) => Linear | undefined): Linear {
  let result = constant(a.constant);
  for (const { atom, times } of a.terms) {
    let part: Linear;
    if (atom.kind === "axis") part = replace(atom.axis) ?? fromAtom(atom);
    else if (atom.kind === "div") part = div(substitute(atom.of, replace), atom.by);
    else if (atom.kind === "mod") part = mod(substitute(atom.of, replace), atom.by);
    else part = fromAtom(atom);
    result = add(result, scale(part, times));
  }
  return result;
}

/** The index's coefficient of loop variable `axis`, or null when it depends on it in another way (div, mod, value). */
export function strideOf(a: Linear, axis: number): number | null {
  let stride = 0;
  for (const { atom, times } of a.terms) {
    if (atom.kind === "axis") {
      if (atom.axis === axis) stride += times;
    } else if (dependsOn(atom, axis)) return null;
  }
  return stride;
}

/** What differs by stage may differ along any axis. */
function dependsOn(atom: Atom, axis: number): boolean {
  if (((axesOfAtom(atom) >> axis) & 1) !== 0) return true;
  if (atom.kind === "axis") return false;
  return (atom.kind === "value" ? stagesOf(atom.value) : stagesOfIndex(atom.of)) !== 0;
}
