import * as linear from "./linear.ts";

/** Index arithmetic, over symbolic indices (the scheduler) or over numbers (the reference device). */
export type IndexAlgebra<I> = {
  constant(value: number): I;
  add(a: I, b: I): I;
  scale(a: I, by: number): I;
  /** ⌊a / by⌋ for a ≥ 0. */
  div(a: I, by: number): I;
  /** a mod by for a ≥ 0. */
  mod(a: I, by: number): I;
};

export const symbolic: IndexAlgebra<linear.Linear> = {
  constant: linear.constant,
  add: linear.add,
  scale: linear.scale,
  div: linear.div,
  mod: linear.mod,
};

export const numeric: IndexAlgebra<number> = {
  constant: (value) => value,
  add: (a, b) => a + b,
  scale: (a, by) => a * by,
  div: (a, by) => Math.floor(a / by),
  mod: (a, by) => a - Math.floor(a / by) * by,
};
