/** Sums, products and quotients, with their derivatives. */
import type { ComputeType } from "../dtype.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { binary, builtin, defineBinary, defineUnary, type TensorLike, unary } from "./define.ts";

const infix =
  (sign: string) =>
  (args: readonly string[]): string =>
    `(${args[0]} ${sign} ${args[1]})`;

const numbers = ["f32", "f16", "bf16", "i32", "u32", "u8"] as const;

export const addOp: ElementwiseOp = defineBinary({
  name: "add",
  takes: "number",
  eval: ([a, b]) => a! + b!,
  wgsl: infix("+"),
  vjp: ({ dy: [dy] }) => [dy!, dy!],
  test: { ulp: 1, dtypes: numbers },
});

export const subOp: ElementwiseOp = defineBinary({
  name: "sub",
  takes: "number",
  eval: ([a, b]) => a! - b!,
  wgsl: infix("-"),
  vjp: ({ dy: [dy] }) => [dy!, dy!.neg()],
  test: { ulp: 1, dtypes: numbers },
});

export const mulOp: ElementwiseOp = defineBinary({
  name: "mul",
  takes: "number",
  eval: ([a, b], _types, result) => (result === "f32" ? a! * b! : Math.imul(a!, b!)),
  wgsl: infix("*"),
  vjp: ({ dy: [dy], inputs: [a, b] }) => [dy!.mul(b!), dy!.mul(a!)],
  test: { ulp: 1, dtypes: numbers },
});

/** Integers divide towards zero; x / 0 is 0 for them. */
export const divOp: ElementwiseOp = defineBinary({
  name: "div",
  takes: "number",
  eval: ([a, b], _types, result) => (result === "f32" ? a! / b! : b === 0 ? 0 : Math.trunc(a! / b!)),
  wgsl: ([a, b], _types, result: ComputeType) =>
    result === "f32" ? `(${a} / ${b})` : `select(${a} / ${b}, ${result}(0), ${b} == ${result}(0))`,
  vjp: ({ dy: [dy], inputs: [, b], outputs: [y] }) => [dy!.div(b!), dy!.mul(y!).div(b!).neg()],
  test: {
    domain: [
      [-4, 4],
      [0.5, 4],
    ],
    ulp: 3,
    dtypes: numbers,
  },
  cost: 4,
});

export const negOp: ElementwiseOp = defineUnary({
  name: "neg",
  takes: "number",
  eval: ([x]) => -x!,
  wgsl: ([x], _types, result: ComputeType) => (result === "u32" ? `(0u - ${x})` : `(-${x})`),
  vjp: ({ dy: [dy] }) => [dy!.neg()],
  test: { ulp: 0, dtypes: numbers },
});

export const maximumOp: ElementwiseOp = defineBinary({
  name: "maximum",
  takes: "number",
  eval: ([a, b]) => Math.max(a!, b!),
  wgsl: builtin("max"),
  // Ties give half to each side, as PyTorch's maximum does.
  vjp: ({ dy: [dy], inputs: [a, b] }) => {
    const half = a!.eq(b!).cast(dy!.dtype).mul(0.5);
    return [dy!.mul(a!.gt(b!).cast(dy!.dtype).add(half)), dy!.mul(b!.gt(a!).cast(dy!.dtype).add(half))];
  },
  test: { ulp: 0, dtypes: numbers, nanSafe: false, smoothAt: (a, b) => Math.abs(a! - b!) > 1e-3 },
});

export const minimumOp: ElementwiseOp = defineBinary({
  name: "minimum",
  takes: "number",
  eval: ([a, b]) => Math.min(a!, b!),
  wgsl: builtin("min"),
  vjp: ({ dy: [dy], inputs: [a, b] }) => {
    const half = a!.eq(b!).cast(dy!.dtype).mul(0.5);
    return [dy!.mul(a!.lt(b!).cast(dy!.dtype).add(half)), dy!.mul(b!.lt(a!).cast(dy!.dtype).add(half))];
  },
  test: { ulp: 0, dtypes: numbers, nanSafe: false, smoothAt: (a, b) => Math.abs(a! - b!) > 1e-3 },
});

/** a + b, broadcast. */
export const add = (a: TensorLike, b: TensorLike): Tensor => binary(addOp, a, b);
/** a − b, broadcast. */
export const sub = (a: TensorLike, b: TensorLike): Tensor => binary(subOp, a, b);
/** a · b for each element, broadcast. */
export const mul = (a: TensorLike, b: TensorLike): Tensor => binary(mulOp, a, b);
/** a / b, broadcast. Integers divide towards zero. */
export const div = (a: TensorLike, b: TensorLike): Tensor => binary(divOp, a, b);
/** −x. */
export const neg = (x: Tensor): Tensor => unary(negOp, x);
/** The greater of a and b, broadcast. */
export const maximum = (a: TensorLike, b: TensorLike): Tensor => binary(maximumOp, a, b);
/** The lesser of a and b, broadcast. */
export const minimum = (a: TensorLike, b: TensorLike): Tensor => binary(minimumOp, a, b);
