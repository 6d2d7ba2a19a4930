/** Powers. */
import type { ElementwiseOp } from "../op.ts";
import { Tensor } from "../tensor.ts";
import { div } from "./arithmetic.ts";
import { decomposed } from "./decompose.ts";
import { binary, builtin, defineBinary, defineUnary, type TensorLike, unary } from "./define.ts";
import { log } from "./exponential.ts";
import { powerOf } from "./power-of.ts";
import { sqrt } from "./sqrt.ts";

const floats = ["f32", "f16", "bf16"] as const;

export const rsqrtOp: ElementwiseOp = defineUnary({
  name: "rsqrt",
  takes: "float",
  eval: ([x]) => 1 / Math.sqrt(x!),
  wgsl: builtin("inverseSqrt"),
  decompose: decomposed((m, x) => m.div(1, m.sqrt(x))),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.mul(y!.mul(y!).mul(y!)).mul(-0.5)],
  test: { domain: [[0.05, 9]], ulp: 4, points: [[4, 0.5]], dtypes: floats, nanSafe: false },
  cost: 4,
});

/** C's pow: x⁰ = 1 and 1ˣ = 1 always; a negative base takes whole exponents only, else NaN. */
export const powOp: ElementwiseOp = defineBinary({
  name: "pow",
  takes: "float",
  eval: ([a, b]) => (a === 1 ? 1 : a === -1 && !Number.isFinite(b!) && !Number.isNaN(b!) ? 1 : a! ** b!),
  wgsl: builtin("op_pow"),
  wgslHelper: `fn op_pow(a: f32, b: f32) -> f32 {
  if (b == 0.0 || a == 1.0) { return 1.0; }
  let whole = trunc(b) == b;
  let odd = whole && abs(b) < 16777216.0 && (i32(clamp(b, -16777216.0, 16777216.0)) & 1) == 1;
  let base = abs(a);
  // pow is exp2(b·log2(a)); the error of the product grows with its size, so it is carried in two parts.
  let l = log2(base);
  let p = b * l;
  var size = exp2(p) * (1.0 + 0.69314718 * fma(b, l, -p));
  if (base == 0.0) { size = select(0.0, bitcast<f32>(0x7f800000u ^ (bitcast<u32>(base) & 1u)), b < 0.0); }
  if (!whole && a < 0.0) { return bitcast<f32>(0x7fc00000u | (bitcast<u32>(a) & 1u)); }
  return select(size, -size, odd && (bitcast<u32>(a) >> 31u) == 1u);
}`,
  decompose: decomposed(powerOf),
  vjp({ dy: [dy], inputs: [a, b], outputs: [y] }) {
    // What is not chosen is kept finite too: the gradient of this gradient multiplies it by 0.
    const [constant, positive] = [b!.eq(0), a!.gt(0)];
    const byBase = dy!.mul(b!).mul(pow(a!, constant.where(1, b!.sub(1))));
    return [constant.where(0, byBase), positive.where(dy!.mul(y!).mul(log(positive.where(a!, 1))), 0)];
  },
  test: {
    domain: [
      [0.1, 4],
      [-3, 3],
    ],
    ulp: 64,
    points: [
      [2, 3, 8],
      [-2, 3, -8],
      [0, 0, 1],
      [-2, 2, 4],
    ],
    dtypes: floats,
    nanSafe: false,
  },
  cost: 24,
});

/** 1/√x. */
export const rsqrt = (x: Tensor): Tensor => unary(rsqrtOp, x);
/** x². */
export const square = (x: Tensor): Tensor => x.mul(x);
/** 1/x. */
export const reciprocal = (x: Tensor): Tensor => div(1, x);

/** aᵇ, broadcast. Small whole and half exponents given as numbers become products and roots. */
export function pow(a: TensorLike, b: TensorLike): Tensor {
  if (a instanceof Tensor && typeof b === "number") {
    if (b === 1) return a;
    if (b === -1) return reciprocal(a);
    if (b === 2) return a.mul(a);
    if (b === 3) return a.mul(a).mul(a);
    if (b === 0.5) return sqrt(a);
    if (b === -0.5) return rsqrt(a);
  }
  return binary(powOp, a, b);
}
