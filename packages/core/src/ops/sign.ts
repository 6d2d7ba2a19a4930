/** The sign of a number. */
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { decomposed } from "./decompose.ts";
import { defineUnary, unary } from "./define.ts";

export const signOp: ElementwiseOp = defineUnary({
  name: "sign",
  takes: "number",
  eval: ([x]) => Math.sign(x!),
  wgsl: ([x], _types, result) => (result === "u32" ? `min(${x}, 1u)` : `sign(${x})`),
  decompose: decomposed((m, x) =>
    x.dtype === "u32" || x.dtype === "u8" ? m.min(x, 1) : m.where(m.gt(x, 0), 1, m.where(m.lt(x, 0), -1, x)),
  ),
  test: { ulp: 0, dtypes: ["f32", "f16", "bf16", "i32", "u32"], nanSafe: false, smoothAt: (x) => Math.abs(x) > 0.05 },
});

/** −1, 0 or 1. No gradient. */
export const sign = (x: Tensor): Tensor => unary(signOp, x);
