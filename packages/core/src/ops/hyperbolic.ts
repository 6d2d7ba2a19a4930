/** Hyperbolic tangent; the other hyperbolic functions are made of exponentials. */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed, type ScalarMath, wgslPolynomial } from "./decompose.ts";
import { builtin, defineUnary, unary } from "./define.ts";
import { exp, expm1, expOf, log, log1p } from "./exponential.ts";

/** (tanh x − x)/x³ in x², |x| ≤ 0.625. */
const TANH = [-0.3333328, 0.13331442, -0.05373971, 0.020639079, -0.0057049785];

function tanhOf(m: ScalarMath, x: Expr): Expr {
  const size = m.abs(x);
  const square = m.mul(x, x);
  const near = m.add(m.mul(m.mul(square, x), m.polynomial(square, TANH)), x);
  const far = m.sub(1, m.div(2, m.add(expOf(m, m.add(size, size)), 1)));
  return m.where(m.lt(size, 0.625), near, m.withSign(far, x));
}

export const tanhOp: ElementwiseOp = defineUnary({
  name: "tanh",
  takes: "float",
  eval: ([x]) => Math.tanh(x!),
  wgsl: builtin("op_tanh"),
  // The builtin may overflow inside, and is only good to 10⁻⁵.
  wgslHelper: `fn op_tanh(x: f32) -> f32 {
  let size = min(abs(x), 10.0);
  let z = x * x;
  let near = fma(z * x, ${wgslPolynomial("z", TANH)}, x);
  let far = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
  return select(select(far, -far, x < 0.0), near, size < 0.625);
}`,
  decompose: decomposed(tanhOf),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.mul(y!.mul(y!).neg().add(1))],
  test: { domain: [[-12, 12]], ulp: 4, points: [[0, 0]], dtypes: ["f32", "f16", "bf16"], nanSafe: false },
  cost: 16,
});

/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => unary(tanhOp, x);

/** Hyperbolic sine: ½(u + u/(u + 1)), u = eˣ − 1 (accurate near 0). */
export function sinh(x: Tensor): Tensor {
  const u = expm1(x);
  return u.add(u.div(u.add(1))).mul(0.5);
}

/** Hyperbolic cosine. */
export const cosh = (x: Tensor): Tensor => exp(x).add(exp(x.neg())).mul(0.5);
/** Inverse hyperbolic sine: sign(x)·log(|x| + √(x² + 1)), written to be accurate near 0. */
export function asinh(x: Tensor): Tensor {
  const size = x.abs();
  const square = size.mul(size);
  return log1p(size.add(square.div(square.add(1).sqrt().add(1)))).mul(x.sign());
}
/** Inverse hyperbolic cosine, for x ≥ 1. */
export const acosh = (x: Tensor): Tensor => log(x.add(x.sub(1).mul(x.add(1)).sqrt()));
/** Inverse hyperbolic tangent, for |x| < 1. */
export const atanh = (x: Tensor): Tensor => log1p(x.mul(2).div(x.mul(-1).add(1))).mul(0.5);
