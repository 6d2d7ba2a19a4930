/**
 * Loads and stores of four elements, of one element in every lane, and of one lane, for every dtype. Narrow elements
 * are raw words in the lanes until `convertLoaded`, and from `convertStored` on.
 */
import { bytesPerElement, type DType } from "../../dtype.ts";
import type { Code } from "./assembler.ts";
import { f, i, op, V128, v } from "./opcodes.ts";

/** Pops the address of four consecutive elements. */
export function loadContiguous(code: Code, dtype: DType, offset: number): void {
  const bytes = bytesPerElement(dtype);
  if (bytes === 4) code.memory(v.load, offset);
  else if (bytes === 2) code.memory(v.load16x4, offset);
  else code.memory(v.loadZero, offset).op(v.extend8, v.extend16);
}

/** Pops the address of an element that goes to all lanes. */
export function loadUniform(code: Code, dtype: DType): void {
  const bytes = bytesPerElement(dtype);
  if (bytes === 4) code.memory(v.splatLoad);
  else code.memory(bytes === 2 ? op.load16 : op.load8).op(v.splat);
}

/** Pops an address; for lanes after the first the vector so far is below it on the stack, and the new one replaces both. */
export function loadLane(code: Code, dtype: DType, lane: number, offset: number): void {
  const bytes = bytesPerElement(dtype);
  if (bytes === 4) {
    if (lane === 0) {
      code.memory(v.loadZero, offset);
      return;
    }
    const address = code.keep();
    const soFar = code.keep(V128);
    code.get(address, soFar).memory(v.loadLane, offset, lane);
    return;
  }
  code.memory(bytes === 2 ? op.load16 : op.load8, offset);
  if (lane === 0) code.op(v.splat);
  else code.lane(v.replace, lane);
}

/** Pops the address of four consecutive elements, writes `value` (a local). */
export function storeContiguous(code: Code, dtype: DType, value: number, offset: number): void {
  const bytes = bytesPerElement(dtype);
  code.get(value);
  if (bytes === 4) code.memory(v.store, offset);
  else if (bytes === 2) code.get(value).op(v.narrow16).memory(v.storeLane64, offset, 0);
  else code.get(value).op(v.narrow16).get(value, value).op(v.narrow16, v.narrow8).memory(v.storeLane, offset, 0);
}

/** Pops an address, writes one lane of `value` (a local). */
export function storeLane(code: Code, dtype: DType, value: number, lane: number, offset: number): void {
  const bytes = bytesPerElement(dtype);
  code.get(value);
  if (bytes === 4) code.memory(v.storeLane, offset, lane);
  else code.lane(v.extract, lane).memory(bytes === 2 ? op.store16 : op.store8, offset);
}

/** Raw words to what kernels compute with. */
export function convertLoaded(code: Code, dtype: DType): void {
  if (dtype === "bf16") code.i32(16).op(i.shl);
  else if (dtype === "bool") code.splat(0).op(i.ne);
  else if (dtype === "f16") {
    const half = code.keep(V128);
    // Exponent and fraction in their f32 places, scaled by 2^112; that is exact, for subnormals too.
    code.get(half).splat(0x7fff).op(v.and).i32(13).op(i.shl).splat(0x77800000).op(f.mul);
    const magnitude = code.keep(V128);
    code.get(magnitude);
    code.get(magnitude).splat(0x47800000).op(f.ge).splat(0x7f800000).op(v.and, v.or);
    code.get(half).splat(0x8000).op(v.and).i32(16).op(i.shl, v.or);
  }
}

/** What kernels compute with to raw words, rounded to nearest even. */
export function convertStored(code: Code, dtype: DType): void {
  if (dtype === "bool") code.splat(1).op(v.and);
  else if (dtype === "u8") code.splat(255).op(v.and);
  else if (dtype === "bf16") {
    const x = code.keep(V128);
    code.get(x).i32(16).op(i.shrU).splat(0x40).op(v.or);
    code.get(x).get(x).i32(16).op(i.shrU).splat(1).op(v.and, i.add).splat(0x7fff).op(i.add).i32(16).op(i.shrU);
    code.get(x, x).op(f.ne, v.bitselect);
  } else if (dtype === "f16") {
    const x = code.keep(V128);
    code.get(x).splat(0x7fffffff).op(v.and);
    const magnitude = code.keep(V128);
    // Subnormal halves: adding one half leaves the multiple of 2^-24 in the low bits, rounded.
    code.get(magnitude).splat(0x3f000000).op(f.add).splat(0x3f000000).op(i.sub);
    code.get(magnitude).get(magnitude).i32(13).op(i.shrU).splat(1).op(v.and, i.add);
    code
      .splat(0x38000000 - 0xfff)
      .op(i.sub)
      .i32(13)
      .op(i.shrU);
    code.get(magnitude).splat(0x38800000).op(i.ltU, v.bitselect);
    const finite = code.keep(V128);
    code.splat(0x7c00).get(finite).get(magnitude).splat(0x477ff000).op(i.geU, v.bitselect);
    const ordered = code.keep(V128);
    code.splat(0x7e00).get(ordered).get(x, x).op(f.ne, v.bitselect);
    code.get(x).i32(16).op(i.shrU).splat(0x8000).op(v.and, v.or);
  }
}
