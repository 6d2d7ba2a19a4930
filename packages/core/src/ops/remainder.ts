/** Remainders. */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { bitAnd } from "./bits.ts";
import { decomposed } from "./decompose.ts";
import { binary, defineBinary, type TensorLike } from "./define.ts";

/** a − b·trunc(a/b), exact for integers and for float quotients below 2²⁴; integers modulo 0 give 0. */
export const remOp: ElementwiseOp = defineBinary({
  name: "rem",
  takes: "number",
  eval: ([a, b], _types, result) => (result !== "f32" && b === 0 ? 0 : a! % b!),
  wgsl: ([a, b], _types, result) =>
    result === "f32"
      ? `op_rem(${a}, ${b})`
      : `select(${a} % select(${b}, ${result}(1), ${b} == ${result}(0)), ${result}(0), ${b} == ${result}(0))`,
  wgslHelper: `fn op_rem(a: f32, b: f32) -> f32 {
  let x = abs(a);
  let y = abs(b);
  // The quotient may be rounded up or down to a neighbour: one step back or forth.
  var r = fma(-trunc(x / y), y, x);
  r = select(r, r + y, r < 0.0);
  r = select(r, r - y, r >= y);
  return select(r, -r, a < 0.0);
}`,
  decompose: decomposed((m, a, b) => {
    const [x, y] = [m.abs(a), m.abs(b)];
    // The product in halves of 12 bits, whose partial products are exact.
    const high = (value: Expr): Expr => m.bits(m.and(m.bits(value, "u32"), 0xfffff000), "f32");
    const q = m.trunc(m.div(x, y));
    const [q1, y1] = [high(q), high(y)];
    const [q2, y2] = [m.sub(q, q1), m.sub(y, y1)];
    const first = m.sub(m.sub(m.sub(m.sub(x, m.mul(q1, y1)), m.mul(q1, y2)), m.mul(q2, y1)), m.mul(q2, y2));
    const low = m.where(m.lt(first, 0), m.add(first, y), first);
    const r = m.where(m.le(y, low), m.sub(low, y), low);
    return m.where(m.and(m.eq(y, Number.POSITIVE_INFINITY), m.lt(x, Number.POSITIVE_INFINITY)), a, m.withSign(r, a));
  }),
  vjp: ({ dy: [dy], inputs: [a, b] }) => [dy!, dy!.mul(a!.div(b!).trunc()).neg()],
  test: {
    domain: [
      [-20, 20],
      [1, 5],
    ],
    ulp: 8,
    absolute: 1e-5,
    dtypes: ["f32", "i32", "u32"],
    nanSafe: false,
    within: (a, b) => Math.abs(a / b) < 2 ** 24 && Math.abs(a) > 1e-30,
    smoothAt: (a, b) => Math.abs(a % b) > 0.05 && Math.abs(b) - Math.abs(a % b) > 0.05,
  },
  cost: 8,
});

/** Remainder with the sign of a, C's fmod: a − b·trunc(a/b), broadcast. */
export const remainder = (a: TensorLike, b: TensorLike): Tensor => binary(remOp, a, b);

/** Remainder with the sign of b, Python's %: a − b·⌊a/b⌋, broadcast. */
export function mod(a: TensorLike, b: TensorLike): Tensor {
  const r = remainder(a, b);
  const wrong = bitAnd(r.ne(0), r.lt(0).ne(typeof b === "number" ? Number(b < 0) : b.lt(0)));
  return wrong.where(r.add(b), r);
}
