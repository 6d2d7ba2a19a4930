/** Writing `decompose` and WGSL helpers: the same polynomials serve both. */
import { computeType, type DType } from "../dtype.ts";
import type { Expr } from "../ir/expr.ts";
import type { Decomposer, ElementwiseOp } from "../op.ts";
import { addOp, divOp, maximumOp, minimumOp, mulOp, subOp } from "./arithmetic.ts";
import { andOp, bitcastOp, orOp, shiftLeftOp, shiftRightOp, xorOp } from "./bits.ts";
import { castOp } from "./cast.ts";
import { eqOp, gtOp, leOp, ltOp, whereOp } from "./compare.ts";
import { absOp, floorOp, roundOp, truncOp } from "./rounding.ts";
import { sqrtOp } from "./sqrt.ts";

type Term = Expr | number;

/** Arithmetic on expressions; a bare number is a constant of the other operand's dtype (f32 if there is none). */
export type ScalarMath = ReturnType<typeof scalarMath>;

export function scalarMath(build: Decomposer) {
  const lift = (x: Term, dtype: DType): Expr => (typeof x === "number" ? build.constant(x, dtype) : x);
  /** The type computed in: narrow storage types widen when loaded. */
  const like = (...args: readonly Term[]): DType => {
    const found = args.find((x): x is Expr => typeof x !== "number");
    return found ? computeType(found.dtype) : "f32";
  };
  const same =
    (op: ElementwiseOp, gives?: DType) =>
    (...args: readonly Term[]): Expr => {
      const dtype = like(...args);
      return build.apply(
        op,
        args.map((x) => lift(x, dtype)),
        gives ?? dtype,
      );
    };
  const mul = same(mulOp);
  const add = same(addOp);
  return {
    add,
    mul,
    sub: same(subOp),
    div: same(divOp),
    min: same(minimumOp),
    max: same(maximumOp),
    abs: same(absOp),
    sqrt: same(sqrtOp),
    floor: same(floorOp),
    trunc: same(truncOp),
    round: same(roundOp),
    and: same(andOp),
    or: same(orOp),
    xor: same(xorOp),
    eq: same(eqOp, "bool"),
    lt: same(ltOp, "bool"),
    le: same(leOp, "bool"),
    gt: same(gtOp, "bool"),
    shl: same(shiftLeftOp),
    shr: same(shiftRightOp),
    where(condition: Expr, a: Term, b: Term): Expr {
      const dtype = like(a, b);
      return build.apply(whereOp, [condition, lift(a, dtype), lift(b, dtype)], dtype);
    },
    cast: (x: Expr, dtype: DType): Expr => build.apply(castOp, [x], dtype),
    bits: (x: Expr, dtype: DType): Expr => build.apply(bitcastOp, [x], dtype),
    /** c₀ + x·(c₁ + x·(c₂ + …)). */
    polynomial(x: Expr, coefficients: readonly number[]): Expr {
      let sum: Term = coefficients[coefficients.length - 1]!;
      for (let i = coefficients.length - 2; i >= 0; i--) sum = add(mul(x, sum), coefficients[i]!);
      return sum as Expr;
    },
    /** x with the sign bit of `sign`; x ≥ 0. */
    withSign(x: Expr, sign: Expr): Expr {
      const bit = same(andOp)(build.apply(bitcastOp, [sign], "u32"), 0x80000000);
      return build.apply(bitcastOp, [same(orOp)(build.apply(bitcastOp, [x], "u32"), bit)], "f32");
    },
  };
}

/** A `decompose` from a function over expressions. */
export function decomposed(
  rule: (math: ScalarMath, ...args: Expr[]) => Expr,
): (build: Decomposer, args: readonly Expr[]) => Expr {
  return (build, args) => rule(scalarMath(build), ...args);
}

/** A number as a WGSL f32 literal. */
export function literal(x: number): string {
  return `${Number.isInteger(x) && Math.abs(x) < 1e9 ? `${x}.0` : x}f`;
}

/** The polynomial as WGSL, for a variable called `x`. */
export function wgslPolynomial(x: string, coefficients: readonly number[]): string {
  return coefficients.reduceRight((sum, c) => (sum === "" ? literal(c) : `fma(${x}, ${sum}, ${literal(c)})`), "");
}
