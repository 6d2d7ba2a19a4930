import { printable, VlmError } from "./errors.ts";

/**
 * Element types of tensors. `f16` and `bf16` are computed in f32 and rounded where they are stored;
 * `bool` holds 0 or 1.
 */
export type DType = "f32" | "f16" | "bf16" | "i32" | "u32" | "u8" | "bool";

/** What a value is while a kernel computes with it: narrow storage types widen when loaded. */
export type ComputeType = "f32" | "i32" | "u32" | "bool";

/** Host arrays that hold a dtype's elements; f16 and bf16 are read and written as Float32Array. */
export type HostArray = Float32Array | Int32Array | Uint32Array | Uint8Array;

/** What tensors are made from: elements, or the stored bits of f16 and bf16, which are uploaded as they are. */
export type HostData = HostArray | Uint16Array;

/** All dtypes. */
export const DTYPES: readonly DType[] = ["f32", "f16", "bf16", "i32", "u32", "u8", "bool"];

const BYTES: Record<DType, number> = { f32: 4, f16: 2, bf16: 2, i32: 4, u32: 4, u8: 1, bool: 1 };

/** Bytes of one element where elements are stored packed. */
export const bytesPerElement = (dtype: DType): number => BYTES[dtype];

export const isFloat = (dtype: DType): boolean => dtype === "f32" || dtype === "f16" || dtype === "bf16";

export const isInteger = (dtype: DType): boolean => dtype === "i32" || dtype === "u32" || dtype === "u8";

export function computeType(dtype: DType): ComputeType {
  if (isFloat(dtype)) return "f32";
  return dtype === "u8" ? "u32" : (dtype as ComputeType);
}

type HostArrayKind = {
  new (size: number): HostArray;
  new (memory: ArrayBuffer): HostArray;
  readonly BYTES_PER_ELEMENT: number;
};

/** The kind of host array that holds elements of `dtype`. */
export function hostArrayKind(dtype: DType): HostArrayKind {
  if (isFloat(dtype)) return Float32Array;
  if (dtype === "i32") return Int32Array;
  return dtype === "u32" ? Uint32Array : Uint8Array;
}

/** A zeroed host array for `size` elements of `dtype`. */
export const hostArray = (dtype: DType, size: number): HostArray => new (hostArrayKind(dtype))(size);

/** Rounds a number to the nearest value the dtype can hold; integers wrap as typed arrays do. */
export function roundTo(dtype: DType, value: number): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "f16":
      return halfToNumber(numberToHalf(value));
    case "bf16":
      return bfloatToNumber(numberToBfloat(value));
    case "i32":
      return value | 0;
    case "u32":
      return value >>> 0;
    case "u8":
      return value & 255;
    case "bool":
      return value ? 1 : 0;
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/** IEEE 754 binary16 bits of a number, rounded to nearest even in one step. */
export function numberToHalf(value: number): number {
  const single = Math.fround(value);
  scratch.setFloat32(0, single);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal halves are multiples of 2^-24.
    const scaled = Math.abs(single) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    return sign | (floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0));
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** bfloat16 bits of a number, rounded to nearest even. */
export function numberToBfloat(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function bfloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The dtype both operands convert to: the wider float if any is float, else i32 over u32 over u8 over bool. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if (isFloat(a) !== isFloat(b)) return isFloat(a) ? a : b;
  if (isFloat(a)) return "f32";
  const order: DType[] = ["bool", "u8", "u32", "i32"];
  return order[Math.max(order.indexOf(a), order.indexOf(b))]!;
}

/** Throws a `DTypeError` for what is no dtype at all. */
export function checkDType(op: string, dtype: DType): DType {
  if (dtype in BYTES) return dtype;
  throw new VlmError("DTypeError", "DTYPE_UNKNOWN", {
    what: `${op}: there is no dtype ${printable(String(dtype))}`,
    hint: `choose one of ${DTYPES.join(", ")}`,
  });
}

/** Throws a `DTypeError` unless `dtype` is one of `allowed`. */
export function expectDType(op: string, dtype: DType, allowed: "float" | "number" | "integer" | "any"): void {
  const ok =
    allowed === "any" ||
    (allowed === "float"
      ? isFloat(dtype)
      : allowed === "integer"
        ? isInteger(dtype) || dtype === "bool"
        : dtype !== "bool");
  if (ok) return;
  throw new VlmError("DTypeError", "DTYPE_UNSUPPORTED", {
    what: `${op}: takes ${allowed} tensors, got ${dtype}`,
    hint: `convert with x.cast("${allowed === "integer" ? "i32" : "f32"}")`,
    details: { op, dtype, allowed },
  });
}
