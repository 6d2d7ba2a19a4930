/** Host arrays to and from device words: f16 and bf16 two, bool and u8 four in each 32-bit word. */
import type { DType, HostArray, HostData } from "../../dtype.ts";
import { bitsToFloats, floatsToBits } from "../../float-bits.ts";
import { unclearedArray } from "../../host-memory.ts";
import { perWord } from "./render/shader.ts";

/** Every buffer is a multiple of this, so that a kernel's last vector always has room. */
export const PADDING = 16;

export const wordsOf = (dtype: DType, size: number): number => Math.ceil(size / perWord(dtype));

export const storedBytes = (dtype: DType, size: number): number =>
  Math.max(1, Math.ceil((wordsOf(dtype, size) * 4) / PADDING)) * PADDING;

/** Bytes for the device, a multiple of 4; what has that length is not copied. */
export function toDevice(dtype: DType, data: HostData): HostData {
  if (dtype === "f16" || dtype === "bf16") {
    const bits = data instanceof Uint16Array ? data : floatsToBits(data as Float32Array, dtype);
    return bits.length % 2 === 0 ? bits : padded(Uint16Array, bits, 2);
  }
  return perWord(dtype) === 1 || data.length % 4 === 0 ? data : padded(Uint8Array, data as Uint8Array, 4);
}

/** A copy whose length is a multiple of `unit`. */
function padded<T extends Uint8Array | Uint16Array>(kind: new (length: number) => T, data: T, unit: number): T {
  const out = new kind(Math.ceil(data.length / unit) * unit);
  out.set(data);
  return out;
}

export function fromDevice(dtype: DType, size: number, bytes: ArrayBuffer): HostArray {
  if (dtype === "f16" || dtype === "bf16") return bitsToFloats(new Uint16Array(bytes, 0, size), dtype);
  const out = unclearedArray(dtype, size);
  if (dtype === "f32") out.set(new Float32Array(bytes, 0, size));
  else if (dtype === "i32") out.set(new Int32Array(bytes, 0, size));
  else if (dtype === "u32") out.set(new Uint32Array(bytes, 0, size));
  else out.set(new Uint8Array(bytes, 0, size));
  return out;
}
