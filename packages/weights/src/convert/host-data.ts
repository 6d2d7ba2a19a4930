import { type DType, floatsToBits, type HostArray, type HostData, printable, VlmError } from "@vlm/core";
import { isReadable, memoryDType, type ReadableDType, type StoredDType } from "../safetensors/stored-dtype.ts";

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * Stored bytes as what core uploads: f16 and bf16 stay the bits they are, f64 becomes f32, 64-bit integers narrow to 32
 * bits (and must fit), small integers widen, BOOL becomes 0 or 1. Where the layout is the same already, the array is a
 * view of `bytes`.
 */
export function toHost(bytes: Uint8Array<ArrayBuffer>, dtype: StoredDType, tensor: string, file: string): HostData {
  memoryDType(dtype, tensor, file);
  if (!isLittleEndian)
    throw new VlmError("FeatureMissingError", "BIG_ENDIAN", { what: "weights are little-endian, this machine is not" });
  switch (dtype as ReadableDType) {
    case "F32":
      return view(Float32Array, bytes);
    case "I32":
      return view(Int32Array, bytes);
    case "U32":
      return view(Uint32Array, bytes);
    case "U8":
      return bytes;
    case "BOOL":
      return bytes.map((byte) => (byte ? 1 : 0));
    case "F16":
    case "BF16":
      return view(Uint16Array, bytes);
    case "F64":
      return Float32Array.from(view(Float64Array, bytes));
    case "I8":
      return Int32Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    case "I16":
      return Int32Array.from(view(Int16Array, bytes));
    case "U16":
      return Uint32Array.from(view(Uint16Array, bytes));
    case "I64":
      return narrow(view(BigInt64Array, bytes), new Int32Array(bytes.length / 8), tensor, file);
    case "U64":
      return narrow(view(BigUint64Array, bytes), new Uint32Array(bytes.length / 8), tensor, file);
  }
}

/** A host array of `dtype` as the bytes that are stored: f16 and bf16 are rounded to nearest even. */
export function toStored(data: HostArray, dtype: DType): Uint8Array {
  return bytesOf(dtype === "f16" || dtype === "bf16" ? floatsToBits(data as Float32Array, dtype) : data);
}

/** The first byte of a BOOL tensor that is neither 0 nor 1, or -1. */
export const firstBadBool = (bytes: Uint8Array): number => bytes.findIndex((byte) => byte > 1);

/** How many elements of stored floats are NaN or infinite: their exponent bits are all ones. */
export function countNonFinite(bytes: Uint8Array<ArrayBuffer>, dtype: StoredDType): number {
  if (!isReadable(dtype)) return 0;
  let count = 0;
  if (dtype === "F32") {
    for (const word of view(Uint32Array, bytes)) if ((word & 0x7f800000) === 0x7f800000) count++;
  } else if (dtype === "F16" || dtype === "BF16") {
    const mask = dtype === "F16" ? 0x7c00 : 0x7f80;
    for (const word of view(Uint16Array, bytes)) if ((word & mask) === mask) count++;
  } else if (dtype === "F64") {
    for (const value of view(Float64Array, bytes)) if (!Number.isFinite(value)) count++;
  }
  return count;
}

type ViewConstructor<T> = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, offset: number, length: number): T;
};

/** A typed view, or a copy where the offset is not aligned. */
export function view<T>(kind: ViewConstructor<T>, bytes: Uint8Array<ArrayBuffer>): T {
  const size = kind.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new kind(aligned.buffer, aligned.byteOffset, aligned.length / size);
}

export const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function narrow<T extends HostArray>(from: BigInt64Array | BigUint64Array, out: T, tensor: string, file: string): T {
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    out[i] = Number(value);
    if (BigInt(out[i]!) !== value) {
      throw new VlmError("DTypeError", "ST_INTEGER_RANGE", {
        what: `tensor "${printable(tensor)}" holds ${value} at ${i}, which does not fit 32 bits`,
        where: file,
        details: { tensor, index: i },
      });
    }
  }
  return out;
}
