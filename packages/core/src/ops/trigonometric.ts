/** Sine, cosine, arc tangent; the rest of trigonometry is made of them. */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed, type ScalarMath, wgslPolynomial } from "./decompose.ts";
import { builtin, defineUnary, unary } from "./define.ts";

const floats = ["f32", "f16", "bf16"] as const;

/** (sin r − r)/r³ and (cos r − 1 + r²/2)/r⁴ in r², |r| ≤ π/4: minimax, relative error 2⁻²⁷. */
const SIN = [-0.16666654, 0.008332137, -0.00019512027];
const COS = [0.041666646, -0.0013887284, 2.4429437e-5];
/** (artan r − r)/r³ in r², |r| ≤ tan(π/8). */
const ATAN = [-0.33333316, 0.19998468, -0.14243487, 0.105934486, -0.060772512];
/** π/2 in three parts of 8, 11 and 24 bits: n·(π/2) is exact enough for |x| up to about 10⁵. */
const HALF_PI = [1.5703125, 4.837512969970703e-4, 7.54978995489188e-8] as const;
const TWO_OVER_PI = 0.636619772;
const reducible = (x: number): boolean => Math.abs(x) < 1e5;

/** sin(x + quarter·π/2): x less a multiple of π/2, then one of two polynomials by the quadrant. */
function sineOf(m: ScalarMath, x: Expr, quarter: number): Expr {
  const n = m.round(m.mul(x, TWO_OVER_PI));
  const rest = HALF_PI.reduce<Expr>((left, part) => m.sub(left, m.mul(n, part)), x);
  // Of arguments too large to be reduced the result is arbitrary, but no greater than 1.
  const r = m.min(m.max(rest, -0.8), 0.8);
  const z = m.mul(r, r);
  const sine = m.add(m.mul(m.mul(z, r), m.polynomial(z, SIN)), r);
  const cosine = m.add(m.sub(m.mul(m.mul(z, z), m.polynomial(z, COS)), m.mul(z, 0.5)), 1);
  const quadrant = m.add(m.cast(n, "i32"), quarter);
  const value = m.where(m.eq(m.and(quadrant, 1), 1), cosine, sine);
  const flipped = m.shl(m.and(quadrant, 2), 30);
  return m.bits(m.xor(m.bits(value, "i32"), flipped), "f32");
}

const wgslSine = (name: string, quarter: number): string => `fn ${name}(x: f32) -> f32 {
  let n = round(x * ${TWO_OVER_PI}f);
  let r = clamp(fma(n, -${HALF_PI[2]}f, fma(n, -${HALF_PI[1]}f, fma(n, -${HALF_PI[0]}f, x))), -0.8, 0.8);
  let z = r * r;
  let sine = fma(z * r, ${wgslPolynomial("z", SIN)}, r);
  let cosine = fma(z * z, ${wgslPolynomial("z", COS)}, fma(z, -0.5, 1.0));
  let quadrant = i32(clamp(n, -1e9, 1e9)) + ${quarter};
  let value = select(sine, cosine, (quadrant & 1) == 1);
  return select(value, -value, (quadrant & 2) == 2);
}`;

function atanOf(m: ScalarMath, x: Expr): Expr {
  const size = m.abs(x);
  const far = m.gt(size, 2.41421356);
  const middle = m.gt(size, 0.41421356);
  const r = m.where(far, m.div(-1, size), m.where(middle, m.div(m.sub(size, 1), m.add(size, 1)), size));
  const base = m.where(far, Math.PI / 2, m.where(middle, Math.PI / 4, 0));
  const z = m.mul(r, r);
  const value = m.add(base, m.add(m.mul(m.mul(z, r), m.polynomial(z, ATAN)), r));
  return m.withSign(value, x);
}

export const sinOp: ElementwiseOp = defineUnary({
  name: "sin",
  takes: "float",
  eval: ([x]) => Math.sin(x!),
  wgsl: builtin("op_sin"),
  // The builtin is only good to 2⁻¹¹ by the specification, and loses more for large arguments.
  wgslHelper: wgslSine("op_sin", 0),
  decompose: decomposed((m, x) => sineOf(m, x, 0)),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.mul(cos(x!))],
  test: { domain: [[-1000, 1000]], ulp: 4, points: [[0, 0]], dtypes: floats, nanSafe: false, within: reducible },
  cost: 16,
});

export const cosOp: ElementwiseOp = defineUnary({
  name: "cos",
  takes: "float",
  eval: ([x]) => Math.cos(x!),
  wgsl: builtin("op_cos"),
  wgslHelper: wgslSine("op_cos", 1),
  decompose: decomposed((m, x) => sineOf(m, x, 1)),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.mul(sin(x!)).neg()],
  test: { domain: [[-1000, 1000]], ulp: 4, points: [[0, 1]], dtypes: floats, nanSafe: false, within: reducible },
  cost: 16,
});

export const atanOp: ElementwiseOp = defineUnary({
  name: "atan",
  takes: "float",
  eval: ([x]) => Math.atan(x!),
  wgsl: builtin("op_atan"),
  wgslHelper: `fn op_atan(x: f32) -> f32 {
  let size = abs(x);
  let far = size > 2.41421356;
  let middle = size > 0.41421356;
  let r = select(select(size, (size - 1.0) / (size + 1.0), middle), -1.0 / size, far);
  let base = select(select(0.0, ${Math.PI / 4}f, middle), ${Math.PI / 2}f, far);
  let z = r * r;
  let value = base + fma(z * r, ${wgslPolynomial("z", ATAN)}, r);
  return select(value, -value, x < 0.0);
}`,
  decompose: decomposed(atanOf),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.div(x!.mul(x!).add(1))],
  test: { domain: [[-10, 10]], ulp: 4, points: [[0, 0]], dtypes: floats, nanSafe: false },
  cost: 16,
});

/** Sine of radians. */
export const sin = (x: Tensor): Tensor => unary(sinOp, x);
/** Cosine of radians. */
export const cos = (x: Tensor): Tensor => unary(cosOp, x);
/** Tangent of radians. */
export const tan = (x: Tensor): Tensor => sin(x).div(cos(x));
/** Arc tangent, between −π/2 and π/2. */
export const atan = (x: Tensor): Tensor => unary(atanOp, x);
/** Arc sine, between −π/2 and π/2: artan(x / √((1 − x)(1 + x))). */
export const asin = (x: Tensor): Tensor => atan(x.div(x.mul(-1).add(1).mul(x.add(1)).sqrt()));
/** Arc cosine, between 0 and π: 2·artan(√((1 − x)/(1 + x))). */
export const acos = (x: Tensor): Tensor => atan(x.mul(-1).add(1).div(x.add(1)).sqrt()).mul(2);
