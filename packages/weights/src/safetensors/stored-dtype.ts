import { type DType, printable, VlmError } from "@vlm/core";

/** Bits of one element of every dtype that safetensors 0.8 knows. */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** A dtype as it is written in a safetensors header. */
export type StoredDType = keyof typeof BITS;

/** The stored dtypes that can be read as tensors. */
export type ReadableDType =
  | "BOOL"
  | "U8"
  | "I8"
  | "I16"
  | "U16"
  | "I32"
  | "U32"
  | "I64"
  | "U64"
  | "F16"
  | "BF16"
  | "F32"
  | "F64";

/** The dtype in memory that holds each readable dtype: 64-bit numbers narrow, 8 and 16-bit integers widen. */
const IN_MEMORY: Record<ReadableDType, DType> = {
  BOOL: "bool",
  U8: "u8",
  I8: "i32",
  I16: "i32",
  U16: "u32",
  I32: "i32",
  U32: "u32",
  I64: "i32",
  U64: "u32",
  F16: "f16",
  BF16: "bf16",
  F32: "f32",
  F64: "f32",
};

const STORED: Record<DType, ReadableDType> = {
  f32: "F32",
  f16: "F16",
  bf16: "BF16",
  i32: "I32",
  u32: "U32",
  u8: "U8",
  bool: "BOOL",
};

export const storedDTypes: readonly string[] = Object.keys(BITS);

export const isStoredDType = (name: string): name is StoredDType => Object.hasOwn(BITS, name);

export const bitsOf = (dtype: StoredDType): number => BITS[dtype];

/** What a stored dtype becomes when it is read; throws `DTypeError` for those that have no counterpart. */
export function memoryDType(dtype: StoredDType, tensor: string, file: string): DType {
  if (isReadable(dtype)) return IN_MEMORY[dtype];
  throw new VlmError("DTypeError", "ST_DTYPE_UNSUPPORTED", {
    what: `tensor "${printable(tensor)}" is stored as ${dtype}, which cannot be read`,
    where: file,
    hint: `convert it to one of ${Object.keys(IN_MEMORY).join(", ")}`,
    details: { tensor, dtype },
  });
}

export const isReadable = (dtype: StoredDType): dtype is ReadableDType => Object.hasOwn(IN_MEMORY, dtype);

/** How a dtype in memory is written. */
export const storedDType = (dtype: DType): ReadableDType => STORED[dtype];
