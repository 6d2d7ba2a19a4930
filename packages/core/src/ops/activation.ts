/** Activation functions. */
import type { ElementwiseOp } from "../op.ts";
import { expectWord } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed } from "./decompose.ts";
import { builtin, defineUnary, type TensorLike, unary } from "./define.ts";
import { erf } from "./error-function.ts";
import { expm1, expOf, log1pOf, wgslLog1p } from "./exponential.ts";
import { tanh } from "./hyperbolic.ts";

const floats = ["f32", "f16", "bf16"] as const;

export const reluOp: ElementwiseOp = defineUnary({
  name: "relu",
  takes: "number",
  eval: ([x]) => Math.max(x!, 0),
  wgsl: ([x], _types, result) => (result === "u32" ? x! : `select(${x}, ${result}(0), ${x} < ${result}(0))`),
  decompose: decomposed((m, x) => m.max(x, 0)),
  // The gradient at 0 is 0. The output decides: the input need not be kept.
  vjp: ({ dy: [dy], outputs: [y] }) => [y!.gt(0).where(dy!, 0)],
  test: { ulp: 0, dtypes: [...floats, "i32"], smoothAt: (x) => Math.abs(x) > 0.05 },
});

export const sigmoidOp: ElementwiseOp = defineUnary({
  name: "sigmoid",
  takes: "float",
  eval: ([x]) => 1 / (1 + Math.exp(-x!)),
  wgsl: builtin("op_sigmoid"),
  wgslHelper: `fn op_sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(1.0, e, x < 0.0) / (1.0 + e);
}`,
  decompose: decomposed((m, x) => m.div(1, m.add(expOf(m, m.sub(0, x)), 1))),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.mul(y!.mul(y!.neg().add(1)))],
  test: { domain: [[-20, 20]], ulp: 8, points: [[0, 0.5]], dtypes: floats, nanSafe: false },
  cost: 12,
});

/** max(x, 0) + log(1 + e^(−|x|)). */
export const softplusOp: ElementwiseOp = defineUnary({
  name: "softplus",
  takes: "float",
  eval: ([x]) => Math.max(x!, 0) + Math.log1p(Math.exp(-Math.abs(x!))),
  wgsl: builtin("op_softplus"),
  wgslHelper: `${wgslLog1p("op_softplus_log1p")}
fn op_softplus(x: f32) -> f32 { return max(x, 0.0) + op_softplus_log1p(exp(-abs(x))); }`,
  decompose: decomposed((m, x) => m.add(m.max(x, 0), log1pOf(m, expOf(m, m.sub(0, m.abs(x)))))),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.mul(sigmoid(x!))],
  test: { domain: [[-20, 20]], ulp: 8, dtypes: floats, nanSafe: false },
  cost: 24,
});

/** max(x, 0); its gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => unary(reluOp, x);
/** 1 / (1 + e^(−x)). */
export const sigmoid = (x: Tensor): Tensor => unary(sigmoidOp, x);
/** log(1 + eˣ), without overflow. */
export const softplus = (x: Tensor): Tensor => unary(softplusOp, x);
/** log σ(x) = −softplus(−x). */
export const logSigmoid = (x: Tensor): Tensor => softplus(x.neg()).neg();

/** Exact, by tanh, or x·σ(1.702x) as in CLIP. */
export type GeluForm = "erf" | "tanh" | "quick";

/**
 * Gaussian error linear unit (Hendrycks & Gimpel 2016): x·Φ(x) = ½x(1 + erf(x/√2)).
 * "tanh" is the paper's approximation ½x(1 + tanh(√(2/π)(x + 0.044715x³))), "quick" is x·σ(1.702x) (CLIP).
 */
export function gelu(x: Tensor, form: GeluForm = "erf"): Tensor {
  expectWord("gelu", "the form", form, ["erf", "tanh", "quick"]);
  if (form === "quick") return x.mul(sigmoid(x.mul(1.702)));
  if (form === "tanh") {
    const inner = x
      .mul(x)
      .mul(0.044715)
      .add(1)
      .mul(x)
      .mul(Math.sqrt(2 / Math.PI));
    return x.mul(0.5).mul(tanh(inner).add(1));
  }
  return x.mul(0.5).mul(erf(x.mul(Math.SQRT1_2)).add(1));
}

/** x·σ(x) (Elfwing et al. 2017), also called swish. */
export const silu = (x: Tensor): Tensor => x.mul(sigmoid(x));
/** x for x > 0, else slope·x. */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => x.gt(0).where(x, x.mul(slope));
/** x for x > 0, else α(eˣ − 1) (Clevert et al. 2015). */
export function elu(x: Tensor, alpha = 1): Tensor {
  const above = x.gt(0);
  return above.where(x, expm1(above.where(0, x)).mul(alpha));
}
/** x limited to [low, high]; the gradient passes where low ≤ x ≤ high. */
export function clamp(x: Tensor, low: TensorLike | null, high: TensorLike | null = null): Tensor {
  const raised = low === null ? x : x.lt(low).where(low, x);
  return high === null ? raised : raised.gt(high).where(high, raised);
}
