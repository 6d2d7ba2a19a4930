/**
 * Learning rates as functions of the step. One definition serves two kinds of numbers: tensors, so that the rate varies
 * inside a compiled plan, and plain numbers, to preview it.
 */
import { Tensor } from "@vlm/core";

/** The arithmetic that schedules are written in. */
export type Arithmetic<T> = {
  /** A constant. */
  number(value: number): T;
  /** a + b. */
  add(a: T, b: T): T;
  /** a · b. */
  mul(a: T, b: T): T;
  /** a / b. */
  div(a: T, b: T): T;
  /** The lesser of the two. */
  min(a: T, b: T): T;
  /** The greater of the two. */
  max(a: T, b: T): T;
  /** ⌊a⌋. */
  floor(a: T): T;
  /** cos a. */
  cos(a: T): T;
  /** eᵃ. */
  exp(a: T): T;
  /** √a. */
  sqrt(a: T): T;
  /** `yes` where a < b, else `no`. */
  ifLess(a: T, b: T, yes: T, no: T): T;
};

/** A number that depends on the step (0 for the first update): of a number, or of an f32 [] tensor. */
export type Schedule = {
  (step: number): number;
  (step: Tensor): Tensor;
};

const numbers: Arithmetic<number> = {
  number: (value) => value,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  floor: Math.floor,
  cos: Math.cos,
  exp: Math.exp,
  sqrt: Math.sqrt,
  ifLess: (a, b, yes, no) => (a < b ? yes : no),
};

type Value = Tensor | number;

/** Constants stay plain numbers until they meet a tensor, so that they are folded in double precision. */
function lift(pure: (...args: number[]) => number, op: (...args: Tensor[]) => Tensor): (...args: Value[]) => Value {
  return (...args) => {
    const like = args.find((arg) => arg instanceof Tensor);
    if (!like) return pure(...(args as number[]));
    return op(...args.map((arg) => (arg instanceof Tensor ? arg : like.mul(0).add(arg))));
  };
}

const tensors: Arithmetic<Value> = {
  number: (value) => value,
  add: lift(numbers.add, (a, b) => a!.add(b!)),
  mul: lift(numbers.mul, (a, b) => a!.mul(b!)),
  div: lift(numbers.div, (a, b) => a!.div(b!)),
  min: lift(numbers.min, (a, b) => a!.minimum(b!)),
  max: lift(numbers.max, (a, b) => a!.maximum(b!)),
  floor: lift(numbers.floor, (a) => a!.floor()),
  cos: lift(numbers.cos, (a) => a!.cos()),
  exp: lift(numbers.exp, (a) => a!.exp()),
  sqrt: lift(numbers.sqrt, (a) => a!.sqrt()),
  ifLess: lift(numbers.ifLess, (a, b, yes, no) => a!.lt(b!).where(yes!, no!)),
};

/** A schedule from its formula, written once for numbers and tensors: `schedule((m, t) => m.div(1e-3, m.sqrt(t)))`. */
export function schedule(formula: <T>(m: Arithmetic<T>, step: T) => T): Schedule {
  return ((step: Value) => {
    if (typeof step === "number") return formula(numbers, step);
    const value = formula(tensors, step as Value);
    return typeof value === "number" ? step.mul(0).add(value) : value;
  }) as Schedule;
}
