import type { Expr } from "../ir/expr.ts";
import type { ScalarMath } from "./decompose.ts";
import { expOf, logOf } from "./exponential.ts";

/** |a|ᵇ = exp(b·log|a|), then the sign and the special cases. */
export function powerOf(m: ScalarMath, a: Expr, b: Expr): Expr {
  const base = m.abs(a);
  const size = m.where(m.and(m.eq(base, 1), m.eq(b, b)), 1, expOf(m, m.mul(b, logOf(m, base))));
  const whole = m.eq(m.trunc(b), b);
  const half = m.mul(b, 0.5);
  const odd = m.and(whole, m.lt(m.trunc(half), half));
  const oddBelow = m.and(whole, m.lt(half, m.trunc(half)));
  const isOdd = m.or(odd, oddBelow);
  const signed = m.where(m.and(isOdd, m.lt(m.bits(a, "i32"), 0)), m.sub(0, size), size);
  const valid = m.where(
    m.and(m.lt(a, 0), m.xor(whole, m.eq(b, b))),
    m.where(m.eq(base, Number.POSITIVE_INFINITY), signed, Number.NaN),
    signed,
  );
  return m.where(m.or(m.eq(b, 0), m.eq(a, 1)), 1, valid);
}
