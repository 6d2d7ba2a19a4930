/** Operations on bits, which on bool are logic, and on the bit patterns of floats. */
import { currentPath } from "../context.ts";
import type { ComputeType, DType } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import { Node } from "../graph/node.ts";
import type { ElementwiseOp } from "../op.ts";
import { Tensor } from "../tensor.ts";
import { binary, defineBinary, defineUnary, type TensorLike, unary } from "./define.ts";

const integers = ["i32", "u32", "u8", "bool"] as const;
const words = ["i32", "u32", "u8"] as const;

export const andOp: ElementwiseOp = defineBinary({
  name: "and",
  takes: "integer",
  eval: ([a, b]) => a! & b!,
  wgsl: ([a, b]) => `(${a} & ${b})`,
  test: { ulp: 0, dtypes: integers },
});

export const orOp: ElementwiseOp = defineBinary({
  name: "or",
  takes: "integer",
  eval: ([a, b]) => a! | b!,
  wgsl: ([a, b]) => `(${a} | ${b})`,
  test: { ulp: 0, dtypes: integers },
});

export const xorOp: ElementwiseOp = defineBinary({
  name: "xor",
  takes: "integer",
  eval: ([a, b]) => a! ^ b!,
  wgsl: ([a, b], [type]) => `(${a} ${type === "bool" ? "!=" : "^"} ${b})`,
  test: { ulp: 0, dtypes: integers },
});

export const notOp: ElementwiseOp = defineUnary({
  name: "not",
  takes: "integer",
  eval: ([x], _types, result) => (result === "bool" ? 1 - x! : ~x!),
  wgsl: ([x], [type]) => (type === "bool" ? `!(${x})` : `(~${x})`),
  test: { ulp: 0, dtypes: integers },
});

/** The count is taken modulo 32. */
export const shiftLeftOp: ElementwiseOp = defineBinary({
  name: "shiftLeft",
  takes: "integer",
  eval: ([a, b]) => a! << b!,
  wgsl: ([a, b]) => `(${a} << (u32(${b}) & 31u))`,
  test: {
    domain: [
      [-100, 100],
      [0, 31],
    ],
    ulp: 0,
    dtypes: words,
  },
});

/** Arithmetic for i32, logical for u32; the count is taken modulo 32. */
export const shiftRightOp: ElementwiseOp = defineBinary({
  name: "shiftRight",
  takes: "integer",
  eval: ([a, b], [type]) => (type === "i32" ? a! >> b! : a! >>> b!),
  wgsl: ([a, b]) => `(${a} >> (u32(${b}) & 31u))`,
  test: {
    domain: [
      [-100, 100],
      [0, 31],
    ],
    ulp: 0,
    dtypes: words,
  },
});

const scratch = new DataView(new ArrayBuffer(4));

/** The same 32 bits read as another type. */
export const bitcastOp: ElementwiseOp = {
  kind: "elementwise",
  name: "bitcast",
  arity: 1,
  dtype: (_args, { dtype }) => dtype as DType,
  eval([x], [from], result) {
    if (from === "f32") scratch.setFloat32(0, x!);
    else scratch.setInt32(0, x!);
    if (result === "f32") return scratch.getFloat32(0);
    return result === "i32" ? scratch.getInt32(0) : scratch.getUint32(0);
  },
  wgsl: ([x], _types, result: ComputeType) => `bitcast<${result}>(${x})`,
  test: { ulp: 0, dtypes: ["f32", "i32", "u32"] },
};

/** The same 32 bits as another of f32, i32, u32. No gradient. */
export function bitcast(x: Tensor, dtype: DType): Tensor {
  const wide = (type: DType): boolean => type === "f32" || type === "i32" || type === "u32";
  if (!wide(x.dtype) || !wide(dtype)) {
    throw new VlmError("DTypeError", "BITCAST", {
      what: `bitcast: from ${x.dtype} to ${dtype}`,
      where: currentPath() ?? undefined,
      hint: "both must be f32, i32 or u32; cast first",
    });
  }
  if (x.dtype === dtype) return x;
  return new Tensor(new Node(bitcastOp, [x.node], { dtype }, { shape: x.shape, dtype }, currentPath()));
}

/** Bits set in both; on bool, both true. */
export const bitAnd = (a: TensorLike, b: TensorLike): Tensor => binary(andOp, a, b);
/** Bits set in either; on bool, either true. */
export const bitOr = (a: TensorLike, b: TensorLike): Tensor => binary(orOp, a, b);
/** Bits set in one of the two; on bool, exactly one true. */
export const bitXor = (a: TensorLike, b: TensorLike): Tensor => binary(xorOp, a, b);
/** All bits flipped. */
export const bitNot = (x: Tensor): Tensor => unary(notOp, x);
/** a · 2ᵇ modulo 2³². */
export const shiftLeft = (a: TensorLike, b: TensorLike): Tensor => binary(shiftLeftOp, a, b);
/** ⌊a / 2ᵇ⌋; keeps the sign of i32. */
export const shiftRight = (a: TensorLike, b: TensorLike): Tensor => binary(shiftRightOp, a, b);

const truth = (x: TensorLike): TensorLike => (typeof x === "number" ? Number(x !== 0) : x.cast("bool"));

/** True where both are true (not 0). */
export const logicalAnd = (a: TensorLike, b: TensorLike): Tensor => binary(andOp, truth(a), truth(b));
/** True where at least one is true (not 0). */
export const logicalOr = (a: TensorLike, b: TensorLike): Tensor => binary(orOp, truth(a), truth(b));
/** True where exactly one is true (not 0). */
export const logicalXor = (a: TensorLike, b: TensorLike): Tensor => binary(xorOp, truth(a), truth(b));
/** True where x is false (0). */
export const logicalNot = (x: Tensor): Tensor => unary(notOp, x.cast("bool"));

const magnitudeBits = (x: Tensor): Tensor => bitAnd(bitcast(x.cast("f32"), "u32"), 0x7fffffff);

/** True where x is not a number. A test of bits: safe on devices that compute as if NaN did not exist. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name says it; the global is not used here.
export const isNaN = (x: Tensor): Tensor => magnitudeBits(x).gt(0x7f800000);
/** True where x is neither infinite nor NaN. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name says it; the global is not used here.
export const isFinite = (x: Tensor): Tensor => magnitudeBits(x).lt(0x7f800000);
/** True where x is +∞ or −∞. */
export const isInfinite = (x: Tensor): Tensor => magnitudeBits(x).eq(0x7f800000);
