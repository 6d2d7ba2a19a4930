/** Rounding to whole numbers, and magnitude. */
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { builtin, defineUnary, unary } from "./define.ts";

const floats = ["f32", "f16", "bf16"] as const;

const defineRounding = (name: string, f: (x: number) => number): ElementwiseOp =>
  defineUnary({
    name,
    takes: "float",
    eval: ([x]) => f(x!),
    wgsl: builtin(name),
    test: { domain: [[-40, 40]], ulp: 0, points: [[0.5], [1.5], [2.5], [-0.5], [-2.5], [1e9]], dtypes: floats },
  });

export const floorOp: ElementwiseOp = defineRounding("floor", Math.floor);
export const ceilOp: ElementwiseOp = defineRounding("ceil", Math.ceil);
export const truncOp: ElementwiseOp = defineRounding("trunc", Math.trunc);
/** Halves go to the even neighbour. */
export const roundOp: ElementwiseOp = defineRounding("round", (x) => {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest === 0.5) return low % 2 === 0 ? low : low + 1;
  return rest < 0.5 ? low : low + 1;
});

export const absOp: ElementwiseOp = defineUnary({
  name: "abs",
  takes: "number",
  eval: ([x]) => Math.abs(x!),
  wgsl: builtin("abs"),
  vjp: ({ dy: [dy], inputs: [x] }) => [dy!.mul(x!.sign())],
  test: { ulp: 0, dtypes: [...floats, "i32", "u32", "u8"], smoothAt: (x) => Math.abs(x) > 0.05 },
});

/** ⌊x⌋. No gradient. */
export const floor = (x: Tensor): Tensor => whole(floorOp, x);
/** ⌈x⌉. No gradient. */
export const ceil = (x: Tensor): Tensor => whole(ceilOp, x);
/** x without its fraction. No gradient. */
export const trunc = (x: Tensor): Tensor => whole(truncOp, x);
/** To the nearest whole number, halves to even. No gradient. */
export const round = (x: Tensor): Tensor => whole(roundOp, x);
/** |x|. The gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => unary(absOp, x);

/** Integers are whole already. */
const whole = (op: ElementwiseOp, x: Tensor): Tensor => (["i32", "u32", "u8"].includes(x.dtype) ? x : unary(op, x));
