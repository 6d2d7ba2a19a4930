/** Comparisons, choice, and logic. */
import type { ElementwiseOp } from "../op.ts";
import { broadcastShapes } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { applyElementwise, binary, defineBinary, type TensorLike, unify } from "./define.ts";
import { expand } from "./view.ts";

const numbers = ["f32", "f16", "bf16", "i32", "u32", "u8"] as const;

function defineComparison(name: string, sign: string, holds: (a: number, b: number) => boolean): ElementwiseOp {
  return defineBinary({
    name,
    takes: "any",
    gives: "bool",
    eval: ([a, b]) => (holds(a!, b!) ? 1 : 0),
    wgsl: ([a, b], [type]) => (type === "bool" ? `(u32(${a}) ${sign} u32(${b}))` : `(${a} ${sign} ${b})`),
    test: { ulp: 0, dtypes: numbers, nanSafe: false },
  });
}

export const eqOp: ElementwiseOp = defineComparison("eq", "==", (a, b) => a === b);
export const neOp: ElementwiseOp = defineComparison("ne", "!=", (a, b) => a !== b);
export const ltOp: ElementwiseOp = defineComparison("lt", "<", (a, b) => a < b);
export const leOp: ElementwiseOp = defineComparison("le", "<=", (a, b) => a <= b);
export const gtOp: ElementwiseOp = defineComparison("gt", ">", (a, b) => a > b);
export const geOp: ElementwiseOp = defineComparison("ge", ">=", (a, b) => a >= b);

/** a = b, as bool. */
export const eq = (a: TensorLike, b: TensorLike): Tensor => binary(eqOp, a, b);
/** a ≠ b, as bool. */
export const ne = (a: TensorLike, b: TensorLike): Tensor => binary(neOp, a, b);
/** a < b, as bool. */
export const lt = (a: TensorLike, b: TensorLike): Tensor => binary(ltOp, a, b);
/** a ≤ b, as bool. */
export const le = (a: TensorLike, b: TensorLike): Tensor => binary(leOp, a, b);
/** a > b, as bool. */
export const gt = (a: TensorLike, b: TensorLike): Tensor => binary(gtOp, a, b);
/** a ≥ b, as bool. */
export const ge = (a: TensorLike, b: TensorLike): Tensor => binary(geOp, a, b);

/** Arguments: condition (bool), value where true, value where false. The value not chosen never matters, NaN or not. */
export const whereOp: ElementwiseOp = {
  kind: "elementwise",
  name: "where",
  arity: 3,
  dtype: ([, a]) => a!,
  eval: ([c, a, b]) => (c ? a! : b!),
  wgsl: ([c, a, b]) => `select(${b}, ${a}, ${c})`,
  vjp: ({ dy: [dy], inputs: [c] }) => [null, where(c!, dy!, 0), where(c!, 0, dy!)],
  test: { ulp: 0, dtypes: numbers },
};

/** `a` where the condition holds, else `b`; all broadcast together. */
export function where(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = unify("where", [a, b]);
  const shape = broadcastShapes("where", condition.shape, x!.shape);
  return applyElementwise(whereOp, [expand(condition.cast("bool"), shape), expand(x!, shape), expand(y!, shape)]);
}
