import { bytesPerElement, type DType } from "../../../dtype.ts";
import type { TensorSpec } from "../../../op.ts";
import type { Bound, Code } from "../assembler.ts";
import type { WasmKernelEmitter } from "../custom.ts";
import {
  convertLoaded,
  convertStored,
  loadContiguous,
  loadLane,
  storeContiguous,
  storeLane,
} from "../memory-access.ts";
import { op, V128 } from "../opcodes.ts";

export const sizeOf = ({ shape }: TensorSpec): number => shape.reduce((a, b) => a * b, 1);

/** This thread's part of 0 … total − 1: locals. */
export function share({ code, thread, threads }: WasmKernelEmitter, total: number): { low: number; high: number } {
  const [low, high, size] = [code.local(), code.local(), code.local()];
  const clip = (local: number): void => {
    code.get(local).i32(total).get(local).i32(total).op(op.ltU, op.select).set(local);
  };
  code
    .i32(total - 1)
    .get(threads)
    .op(op.add)
    .get(threads)
    .op(op.divU)
    .tee(size);
  code.get(thread).op(op.mul).set(low);
  clip(low);
  code.get(low, size).op(op.add).set(high);
  clip(high);
  return { low, high };
}

/** Loops over 0 … count − 1 in vectors, then one by one; `at` is the element's number, `width` 4 or 1. */
export function eachVector(code: Code, count: Bound, body: (at: number, width: 1 | 4) => void): void {
  const [at, part] = [code.local(), code.local()];
  code.bound(count).i32(-4).op(op.and).set(part);
  code.for(at, 0, { local: part }, 4, () => body(at, 4));
  code.while(at, count, 1, () => body(at, 1));
}

/** Pops an address; pushes four elements (or one, in lane 0) as compute values. */
export function loadVector(code: Code, dtype: DType, width: 1 | 4): void {
  if (width === 4) loadContiguous(code, dtype, 0);
  else loadLane(code, dtype, 0, 0);
  convertLoaded(code, dtype);
}

/** Writes `value` (a local of compute values) to the address in a local. */
export function storeVector(code: Code, dtype: DType, width: 1 | 4, address: number, value: number): void {
  code.get(value);
  convertStored(code, dtype);
  const stored = code.keep(V128);
  code.get(address);
  if (width === 4) storeContiguous(code, dtype, stored, 0);
  else storeLane(code, dtype, stored, 0, 0);
}

/** Pops an element's number, then what `pushBase` pushes: leaves the element's address. */
export function elementAddress(code: Code, dtype: DType, pushBase: () => void): void {
  code.i32(bytesPerElement(dtype)).op(op.mul);
  pushBase();
  code.op(op.add);
}
