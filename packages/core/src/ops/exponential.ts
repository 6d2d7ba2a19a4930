/** Exponentials and logarithms, accurate near 0 too. */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed, type ScalarMath, wgslPolynomial } from "./decompose.ts";
import { builtin, defineUnary, unary } from "./define.ts";

const floats = ["f32", "f16", "bf16"] as const;

/** (eʳ − 1 − r)/r² for |r| ≤ ½·ln 2: minimax, error 2⁻²⁷ of eʳ. */
const EXP = [0.49999994, 0.16666515, 0.041668456, 0.00836941, 0.0013813163];
/** (log(1 + f) − f + f²/2)/f³ for 1 + f between √½ and √2: minimax, relative error 2⁻²⁷. */
const LOG = [0.3333333, -0.25000873, 0.2000143, -0.16621561, 0.14195488, -0.13172217, 0.12814419, -0.0766942];
/** (2·artanh s − 2s)/s³ in s², |s| ≤ 0.1765. */
const LOG1P = [0.66666794, 0.39974818, 0.29949385];
/** ln 2 in two parts; the first has 9 bits, so that its products with exponents are exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;

/** eˣ = 2ⁿ·eʳ; the power of two is applied in two steps, so that results below 2⁻¹²⁶ and overflow come out right. */
export function expOf(m: ScalarMath, x: Expr): Expr {
  const bounded = m.min(m.max(x, -104), 89);
  // Added to 1.5·2²³, a number is rounded to a whole one, which stands in the low bits: here n + 254, whose halves are
  // the exponents, bias and all, of two powers of two. (Shifted to the exponent's place, what is above them drops out.)
  const magic = 12582912 + 254;
  const shifted = m.add(m.mul(bounded, Math.LOG2E), magic);
  const n = m.sub(shifted, magic);
  const r = m.sub(m.sub(bounded, m.mul(n, LN2_HIGH)), m.mul(n, LN2_LOW));
  const power = m.add(m.add(m.mul(m.mul(r, r), m.polynomial(r, EXP)), r), 1);
  const whole = m.bits(shifted, "i32");
  const half = m.shr(whole, 1);
  const twoTo = (biased: Expr): Expr => m.bits(m.shl(biased, 23), "f32");
  return m.mul(m.mul(power, twoTo(half)), twoTo(m.sub(whole, half)));
}

/** log x = k·ln 2 + log(1 + f), for positive normal or subnormal x; log 0 = −∞, negative x give NaN. */
export function logOf(m: ScalarMath, x: Expr): Expr {
  const tiny = m.lt(x, 1.17549435e-38);
  const scaled = m.where(tiny, m.mul(x, 8388608), x);
  const bits = m.bits(scaled, "i32");
  // Exponent of x relative to √½, so that the mantissa lies between √½ and √2.
  const k = m.shr(m.sub(bits, 0x3f3504f3), 23);
  const f = m.sub(m.bits(m.sub(bits, m.shl(k, 23)), "f32"), 1);
  const exponent = m.sub(m.cast(k, "f32"), m.where(tiny, 23, 0));
  const square = m.mul(f, f);
  const tail = m.sub(m.mul(m.mul(square, f), m.polynomial(f, LOG)), m.mul(square, 0.5));
  const value = m.add(m.add(m.add(m.mul(exponent, LN2_LOW), tail), f), m.mul(exponent, LN2_HIGH));
  const inside = m.where(m.lt(x, Number.POSITIVE_INFINITY), value, x);
  return m.where(m.gt(x, 0), inside, m.where(m.eq(x, 0), Number.NEGATIVE_INFINITY, Number.NaN));
}

/** log(1 + x): 2·artanh(x / (2 + x)) near 0, where 1 + x would lose x. */
export function log1pOf(m: ScalarMath, x: Expr): Expr {
  const s = m.div(x, m.add(x, 2));
  const square = m.mul(s, s);
  const near = m.add(m.mul(m.mul(s, square), m.polynomial(square, LOG1P)), m.mul(s, 2));
  return m.where(m.lt(m.abs(m.add(x, 0.0625)), 0.3125), near, logOf(m, m.add(x, 1)));
}

/** eˣ − 1, without cancellation near 0. */
export function expm1Of(m: ScalarMath, x: Expr): Expr {
  const near = m.add(m.mul(m.mul(x, x), m.polynomial(x, EXP)), x);
  return m.where(m.lt(m.abs(x), 0.35), near, m.sub(expOf(m, x), 1));
}

/** WGSL for log(1 + x) as a function called `name`; tiny results keep their relative accuracy. */
export const wgslLog1p = (name: string): string => `fn ${name}(x: f32) -> f32 {
  let s = x / (x + 2.0);
  let z = s * s;
  let near = fma(s * z, ${wgslPolynomial("z", LOG1P)}, 2.0 * s);
  return select(log(1.0 + x), near, abs(x + 0.0625) < 0.3125);
}`;

export const expOp: ElementwiseOp = defineUnary({
  name: "exp",
  takes: "float",
  eval: ([x]) => Math.exp(x!),
  wgsl: builtin("exp"),
  decompose: decomposed(expOf),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.mul(y!)],
  test: { domain: [[-20, 20]], ulp: 8, points: [[0, 1]], dtypes: floats, nanSafe: false },
  cost: 8,
});

export const expm1Op: ElementwiseOp = defineUnary({
  name: "expm1",
  takes: "float",
  eval: ([x]) => Math.expm1(x!),
  wgsl: builtin("op_expm1"),
  wgslHelper: `fn op_expm1(x: f32) -> f32 {
  return select(exp(x) - 1.0, fma(x * x, ${wgslPolynomial("x", EXP)}, x), abs(x) < 0.35);
}`,
  decompose: decomposed(expm1Of),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.mul(y!.add(1))],
  test: { domain: [[-4, 8]], ulp: 8, points: [[0, 0]], dtypes: floats, nanSafe: false },
  cost: 10,
});

export const logOp: ElementwiseOp = defineUnary({
  name: "log",
  takes: "float",
  eval: ([x]) => Math.log(x!),
  wgsl: builtin("log"),
  decompose: decomposed(logOf),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.div(x!)],
  test: { domain: [[0.01, 100]], ulp: 4, points: [[1, 0]], dtypes: floats, nanSafe: false },
  cost: 10,
});

export const log1pOp: ElementwiseOp = defineUnary({
  name: "log1p",
  takes: "float",
  eval: ([x]) => Math.log1p(x!),
  wgsl: builtin("op_log1p"),
  wgslHelper: wgslLog1p("op_log1p"),
  decompose: decomposed(log1pOf),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.div(x!.add(1))],
  test: { domain: [[-0.9, 20]], ulp: 4, points: [[0, 0]], dtypes: floats, nanSafe: false },
  cost: 12,
});

/** eˣ. */
export const exp = (x: Tensor): Tensor => unary(expOp, x);
/** eˣ − 1, accurate near 0. */
export const expm1 = (x: Tensor): Tensor => unary(expm1Op, x);
/** Natural logarithm: −∞ at 0, NaN below. */
export const log = (x: Tensor): Tensor => unary(logOp, x);
/** log(1 + x), accurate near 0. */
export const log1p = (x: Tensor): Tensor => unary(log1pOp, x);
