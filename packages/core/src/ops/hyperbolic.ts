/** Hyperbolic tangent; the other hyperbolic functions are made of exponentials. */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed, type ScalarMath, wgslPolynomial } from "./decompose.ts";
import { builtin, defineUnary, unary } from "./define.ts";
import { exp, expm1, expOf, log, log1p } from "./exponential.ts";
import { fill } from "./source.ts";

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

/** Hyperbolic sine: ½(eˣ − 1) − ½(e⁻ˣ − 1), accurate near 0; e^(x/2) does not overflow before the result does. */
export function sinh(x: Tensor): Tensor {
  const half = (y: Tensor): Tensor => {
    const u = expm1(y.mul(0.5));
    return u.mul(0.5).mul(u.add(2));
  };
  return half(x).sub(half(x.neg()));
}

/** Hyperbolic cosine. */
export function cosh(x: Tensor): Tensor {
  const half = (y: Tensor): Tensor => {
    const u = exp(y.mul(0.5));
    return u.mul(0.5).mul(u);
  };
  return half(x).add(half(x.neg()));
}

/** Where x² ± 1 is x² in f32, and x² is far from overflow. */
const LARGE = 2 ** 30;

/** log 2x for large x, else `near` of an argument that is not large. */
function logarithmic(x: Tensor, near: (x: Tensor) => Tensor): Tensor {
  const large = x.gt(LARGE);
  return large.where(log(large.where(x, LARGE)).add(Math.LN2), near(large.where(LARGE, x)));
}

/** Inverse hyperbolic sine: sign(x)·log(|x| + √(x² + 1)), written to be accurate near 0. */
export function asinh(x: Tensor): Tensor {
  // Not |x|, whose gradient at 0 is 0.
  const sign = x.lt(0).where(-1, fill(1, x.shape, x.dtype));
  return logarithmic(x.mul(sign), (size) => {
    const square = size.mul(size);
    return log1p(size.add(square.div(square.add(1).sqrt().add(1))));
  }).mul(sign);
}
/** Inverse hyperbolic cosine, for x ≥ 1: log(x + √(x − 1)·√(x + 1)), written to be accurate near 1. */
export const acosh = (x: Tensor): Tensor =>
  logarithmic(x, (y) => {
    const t = y.sub(1);
    return log1p(t.add(t.sqrt().mul(t.add(2).sqrt())));
  });
/** Inverse hyperbolic tangent, for |x| < 1. */
export const atanh = (x: Tensor): Tensor => log1p(x.mul(2).div(x.mul(-1).add(1))).mul(0.5);
