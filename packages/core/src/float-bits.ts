/** Arrays of 16-bit floats: their stored bits, and the numbers they stand for. */
import type { DType } from "./dtype.ts";
import { uncleared } from "./host-memory.ts";

/** Numbers as the stored bits of f16 or bf16, rounded to nearest even. */
export function floatsToBits(numbers: Float32Array, dtype: Extract<DType, "f16" | "bf16">): Uint16Array<ArrayBuffer> {
  return dtype === "f16" ? f32ToF16(numbers) : f32ToBf16(numbers);
}

/** The numbers that stored bits of f16 or bf16 stand for. */
export function bitsToFloats(bits: Uint16Array, dtype: Extract<DType, "f16" | "bf16">): Float32Array<ArrayBuffer> {
  return dtype === "f16" ? f16ToF32(bits) : bf16ToF32(bits);
}

let halves: Float32Array | undefined;

/** All 65,536 halves as f32: a quarter of a megabyte, made on first use. */
function halfTable(): Float32Array {
  if (halves) return halves;
  const table = new Float32Array(65536);
  const bits = new Uint32Array(table.buffer);
  for (let h = 0; h < 65536; h++) {
    const sign = (h & 0x8000) << 16;
    const exponent = (h >>> 10) & 31;
    const fraction = h & 1023;
    if (exponent === 0) table[h] = (sign ? -1 : 1) * fraction * 2 ** -24;
    else if (exponent === 31) bits[h] = sign | 0x7f800000 | (fraction << 13);
    else bits[h] = sign | ((exponent + 112) << 23) | (fraction << 13);
  }
  return (halves = table);
}

function f16ToF32(from: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(uncleared(from.length * 4));
  const table = halfTable();
  for (let i = 0; i < from.length; i++) out[i] = table[from[i]!]!;
  return out;
}

function bf16ToF32(from: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(uncleared(from.length * 4));
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < from.length; i++) bits[i] = from[i]! << 16;
  return out;
}

function f32ToF16(from: Float32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(from.length);
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < from.length; i++) {
    const word = bits[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) out[i] = sign | 0x7e00 | ((word >>> 13) & 0x1ff);
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00;
    else if (magnitude >= 0x38800000)
      out[i] = sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
    else {
      // Subnormal halves are multiples of 2^-24; adding and subtracting 2^52 rounds to nearest even.
      const scaled = Math.abs(from[i]!) * 2 ** 24;
      out[i] = sign | (scaled + 2 ** 52 - 2 ** 52);
    }
  }
  return out;
}

function f32ToBf16(from: Float32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(from.length);
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < from.length; i++) {
    const word = bits[i]!;
    out[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}
