/** The Gauss error function and its inverse. */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed, type ScalarMath, wgslPolynomial } from "./decompose.ts";
import { builtin, defineUnary, unary } from "./define.ts";
import { exp, log1pOf, wgslLog1p } from "./exponential.ts";

const floats = ["f32", "f16", "bf16"] as const;

/** erf(x)/x − 1 in x² for |x| ≤ 0.9375. */
const NEAR = [0.12837917, -0.37612632, 0.11283679, -0.026858497, 0.00519883, -0.00081180746, 8.267459e-5];
/** (1 − erf x)^(−1/8) for 0.9 ≤ x ≤ 4; beyond, erf is 1 in f32. */
const FAR = [0.99798906, 0.15217647, 0.06328181, 0.058835894, -0.02360762, 0.014245638, -0.0032925152, 0.00048336195];
/** −log(1 − erf x) there, for devices whose exponential is an instruction. */
const FAR_LOG = [0.00016643933, 1.1277972, 0.636976, 0.10411374, -0.022315247, 0.0030654995, -0.00019822067];

/**
 * Inverse error function: x·P(w), w = −log(1 − x²), in two pieces (M. Giles, "Approximating the erfinv function", 2012,
 * table of the single-precision version). JAX uses the same polynomials, so normal samples agree with it.
 */
const GILES_CENTRE = [
  1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-6, -3.5233877e-6, 3.43273939e-7,
  2.81022636e-8,
];
const GILES_TAIL = [
  2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558,
  -0.000200214257,
];

/** erf to float64 accuracy: the all-positive series of e^(x²)·erf for small x, a continued fraction of erfc beyond. */
export function erf64(x: number): number {
  const size = Math.abs(x);
  if (!(size > 0)) return x;
  if (size > 6) return Math.sign(x);
  let value: number;
  if (size < 2.5) {
    let term = size;
    value = term;
    for (let n = 1; term > value * 1e-17; n++) {
      term *= (2 * size * size) / (2 * n + 1);
      value += term;
    }
    value *= (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size);
  } else {
    let tail = 0;
    for (let n = 60; n > 0; n--) tail = n / 2 / (size + tail);
    value = 1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + tail));
  }
  return Math.sign(x) * value;
}

/** Giles' approximation, then two Newton steps. */
export function erfinv64(x: number): number {
  if (!(Math.abs(x) < 1)) return Math.abs(x) === 1 ? x * Number.POSITIVE_INFINITY : Number.NaN;
  const w = -Math.log1p(-x * x);
  const [shifted, coefficients] = w < 5 ? [w - 2.5, GILES_CENTRE] : [Math.sqrt(w) - 3, GILES_TAIL];
  let y = x * coefficients.reduceRight((sum, c) => sum * shifted + c, 0);
  // Beyond 1 − 10⁻⁹ the residual cannot be seen in float64; the approximation stands.
  if (w > 20) return y;
  for (let i = 0; i < 2; i++) y -= ((erf64(y) - x) * Math.sqrt(Math.PI)) / 2 / Math.exp(-y * y);
  return y;
}

function erfOf(m: ScalarMath, x: Expr): Expr {
  const size = m.abs(x);
  const square = m.mul(x, x);
  const near = m.add(m.mul(x, m.polynomial(square, NEAR)), x);
  const root = m.polynomial(m.min(size, 4), FAR);
  const fourth = m.mul(m.mul(root, root), m.mul(root, root));
  const far = m.sub(1, m.div(1, m.mul(fourth, fourth)));
  return m.where(m.lt(size, 0.92), near, m.withSign(far, x));
}

function erfinvOf(m: ScalarMath, x: Expr): Expr {
  const w = m.sub(0, log1pOf(m, m.sub(0, m.mul(x, x))));
  const centre = m.polynomial(m.sub(w, 2.5), GILES_CENTRE);
  const tail = m.polynomial(m.sub(m.sqrt(w), 3), GILES_TAIL);
  const value = m.mul(x, m.where(m.lt(w, 5), centre, tail));
  return m.where(m.eq(m.abs(x), 1), m.mul(x, Number.POSITIVE_INFINITY), value);
}

export const erfOp: ElementwiseOp = defineUnary({
  name: "erf",
  takes: "float",
  eval: ([x]) => erf64(x!),
  wgsl: builtin("op_erf"),
  wgslHelper: `fn op_erf(x: f32) -> f32 {
  let size = min(abs(x), 4.0);
  let z = x * x;
  let near = fma(x, ${wgslPolynomial("z", NEAR)}, x);
  let far = 1.0 - exp(-(${wgslPolynomial("size", FAR_LOG)}));
  return select(select(far, -far, x < 0.0), near, size < 0.92);
}`,
  decompose: decomposed(erfOf),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.mul(exp(x!.mul(x!).neg())).mul(2 / Math.sqrt(Math.PI))],
  test: { domain: [[-4, 4]], ulp: 4, points: [[0, 0]], dtypes: floats, nanSafe: false },
  cost: 20,
});

export const erfinvOp: ElementwiseOp = defineUnary({
  name: "erfinv",
  takes: "float",
  eval: ([x]) => erfinv64(x!),
  wgsl: builtin("op_erfinv"),
  wgslHelper: `${wgslLog1p("op_erfinv_log1p")}
fn op_erfinv(x: f32) -> f32 {
  let w = -op_erfinv_log1p(-x * x);
  let c = w - 2.5;
  let t = sqrt(max(w, 0.0)) - 3.0;
  return x * select(${wgslPolynomial("t", GILES_TAIL)}, ${wgslPolynomial("c", GILES_CENTRE)}, w < 5.0);
}`,
  decompose: decomposed(erfinvOf),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.mul(exp(y!.mul(y!))).mul(Math.sqrt(Math.PI) / 2)],
  test: { domain: [[-0.99, 0.99]], ulp: 16, points: [[0, 0]], dtypes: floats, nanSafe: false },
  cost: 24,
});

/** Gauss error function, 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf = (x: Tensor): Tensor => unary(erfOp, x);
/** Inverse of erf on (−1, 1). */
export const erfinv = (x: Tensor): Tensor => unary(erfinvOp, x);
