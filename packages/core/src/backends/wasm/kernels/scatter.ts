import { bytesPerElement, computeType, type DType } from "../../../dtype.ts";
import { emitInstruction } from "../../../ir/wasm-native.ts";
import type { WasmKernel } from "../custom.ts";
import { op, V128 } from "../opcodes.ts";
import { eachVector, elementAddress, loadVector, share, sizeOf, storeVector } from "./shared.ts";

/** Ops that combine an update with the old value, by the scatter op's attribute; "set" has none. */
const COMBINE: Readonly<Record<string, string | undefined>> = {
  add: "add",
  mul: "mul",
  max: "maximum",
  min: "minimum",
};

/** Narrow floats are summed in f32, in scratch memory, and rounded once. */
const accumulator = (dtype: DType): DType =>
  bytesPerElement(dtype) === 4 ? dtype : computeType(dtype) === "f32" ? "f32" : "u32";

/**
 * Rows of a table changed by index: inputs ids i32 [N], updates [N D], perhaps base [V D]; attributes rows (V) and
 * combine. A thread owns a range of rows and goes through all ids, so updates meet in their order on any number of threads.
 */
export const scatterWasm: WasmKernel = {
  scratch({ outputs: [out] }) {
    return bytesPerElement(out!.dtype) === 4 ? 0 : sizeOf(out!) * 4;
  },
  emit({ inputs, outputs: [out], attributes }, emitter) {
    const { code, pushInput, pushOutput, pushScratch } = emitter;
    const { dtype } = out!;
    const [rows, width] = out!.shape as [number, number];
    const count = sizeOf(inputs[0]!);
    if (rows * width === 0) return;
    const inner = accumulator(dtype);
    const pushTable = inner === dtype ? () => pushOutput(0) : pushScratch;
    const { low, high } = share(emitter, rows);
    const [first, address] = [code.local(), code.local()];
    const part = code.get(high, low).op(op.sub).i32(width).op(op.mul).keep();
    code.get(low).i32(width).op(op.mul).set(first);
    /** Copies this thread's rows from one array to another, converting. */
    const copy = (from: (() => void) | null, fromType: DType, to: () => void, toType: DType): void =>
      eachVector(code, { local: part }, (at, lanes) => {
        if (from) {
          code.get(first, at).op(op.add);
          elementAddress(code, fromType, from);
          loadVector(code, fromType, lanes);
        } else code.splat(0);
        const value = code.keep(V128);
        code.get(first, at).op(op.add);
        elementAddress(code, toType, to);
        code.set(address);
        storeVector(code, toType, lanes, address, value);
      });
    copy(inputs[2] ? () => pushInput(2) : null, dtype, pushTable, inner);
    const [n, id] = [code.local(), code.local()];
    const combine = COMBINE[attributes.combine as string];
    code.for(n, 0, count, 1, () => {
      code.get(n);
      elementAddress(code, "i32", () => pushInput(0));
      code
        .memory(op.load)
        .tee(id)
        .get(low)
        .op(op.geS)
        .get(id, high)
        .op(op.ltS, op.and)
        .if(() => {
          eachVector(code, width, (at, lanes) => {
            code.get(n).i32(width).op(op.mul).get(at).op(op.add);
            elementAddress(code, dtype, () => pushInput(1));
            loadVector(code, dtype, lanes);
            const update = code.keep(V128);
            code.get(id).i32(width).op(op.mul).get(at).op(op.add);
            elementAddress(code, inner, pushTable);
            code.set(address);
            let value = update;
            if (combine) {
              code.get(address);
              loadVector(code, inner, lanes);
              const type = computeType(dtype);
              const exprs = [0, 1].map(() => ({ kind: "stage", stage: 0, dtype, key: "" }) as const);
              const args = [code.keep(V128), update];
              emitInstruction(combine, { code, args, exprs, types: [type, type], result: type });
              value = code.keep(V128);
            }
            storeVector(code, inner, lanes, address, value);
          });
        });
    });
    if (inner !== dtype) copy(pushTable, inner, () => pushOutput(0), dtype);
  },
};
