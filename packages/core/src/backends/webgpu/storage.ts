/** Host arrays to and from device words: f16 and bf16 two, bool and u8 four in each 32-bit word. */
import {
  bfloatToNumber,
  type DType,
  type HostArray,
  halfToNumber,
  hostArray,
  numberToBfloat,
  numberToHalf,
} from "../../dtype.ts";
import { perWord } from "./render/shader.ts";

/** Every buffer is a multiple of this, so that a kernel's last vector always has room. */
export const PADDING = 16;

export const wordsOf = (dtype: DType, size: number): number => Math.ceil(size / perWord(dtype));

export const storedBytes = (dtype: DType, size: number): number =>
  Math.max(1, Math.ceil((wordsOf(dtype, size) * 4) / PADDING)) * PADDING;

/** Bytes for the device, a multiple of 4. */
export function toDevice(dtype: DType, data: HostArray): HostArray | Uint16Array {
  if (dtype === "f16" || dtype === "bf16") {
    const round = dtype === "f16" ? numberToHalf : numberToBfloat;
    const half = new Uint16Array(wordsOf(dtype, data.length) * 2);
    for (let at = 0; at < data.length; at++) half[at] = round(data[at]!);
    return half;
  }
  if (perWord(dtype) === 1 || data.length % 4 === 0) return data;
  const padded = new Uint8Array(wordsOf(dtype, data.length) * 4);
  padded.set(data);
  return padded;
}

export function fromDevice(dtype: DType, size: number, bytes: ArrayBuffer): HostArray {
  const out = hostArray(dtype, size);
  if (dtype === "f16" || dtype === "bf16") {
    const widen = dtype === "f16" ? halfToNumber : bfloatToNumber;
    const half = new Uint16Array(bytes, 0, size);
    for (let at = 0; at < size; at++) out[at] = widen(half[at]!);
    return out;
  }
  if (dtype === "f32") out.set(new Float32Array(bytes, 0, size));
  else if (dtype === "i32") out.set(new Int32Array(bytes, 0, size));
  else if (dtype === "u32") out.set(new Uint32Array(bytes, 0, size));
  else out.set(new Uint8Array(bytes, 0, size));
  return out;
}
