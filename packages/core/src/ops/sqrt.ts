/** The square root, a primitive that decompositions of other ops use. */
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { builtin, defineUnary, unary } from "./define.ts";

export const sqrtOp: ElementwiseOp = defineUnary({
  name: "sqrt",
  takes: "float",
  eval: ([x]) => Math.sqrt(x!),
  wgsl: builtin("sqrt"),
  vjp: ({ dy: [dy], outputs: [y] }) => [dy!.div(y!.mul(2))],
  test: {
    domain: [[0.05, 9]],
    ulp: 3,
    points: [
      [0, 0],
      [4, 2],
    ],
    dtypes: ["f32", "f16", "bf16"],
    nanSafe: false,
  },
  cost: 4,
});

/** √x, NaN below 0. */
export const sqrt = (x: Tensor): Tensor => unary(sqrtOp, x);
