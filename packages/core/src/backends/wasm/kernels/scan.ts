import { bytesPerElement, computeType } from "../../../dtype.ts";
import type { Code } from "../assembler.ts";
import type { WasmKernel } from "../custom.ts";
import { convertLoaded, convertStored, loadLane, storeLane } from "../memory-access.ts";
import { F64, f64, I32, op, V128, v } from "../opcodes.ts";
import { elementAddress, share } from "./shared.ts";

/** Float sums and products are kept in f64, so that a long row loses no digits. */
function fold(code: Code, combine: string, float: boolean, unsigned: boolean, sum: number, next: number): void {
  if (float) {
    const code64: Record<string, number> = { add: f64.add, mul: f64.mul, max: f64.max, min: f64.min };
    code.get(sum, next).op(code64[combine]!);
  } else if (combine === "add" || combine === "mul") code.get(sum, next).op(combine === "add" ? op.add : op.mul);
  else {
    const less = unsigned ? op.ltU : op.ltS;
    const [a, b] = combine === "min" ? [sum, next] : [next, sum];
    code.get(sum, next, a, b).op(less, op.select);
  }
}

const START: Readonly<Record<string, readonly [float: number, signed: number, unsigned: number]>> = {
  add: [0, 0, 0],
  mul: [1, 1, 1],
  max: [Number.NEGATIVE_INFINITY, -(2 ** 31), 0],
  min: [Number.POSITIVE_INFINITY, 2 ** 31 - 1, -1],
};

/** y[r, i] = x[r, 0] ∘ … ∘ x[r, i]; attributes combine, reverse, exclusive. Threads share the rows. */
export const scanWasm: WasmKernel = {
  emit({ inputs: [x], attributes }, emitter) {
    const { code, pushInput, pushOutput } = emitter;
    const { dtype } = x!;
    const [rows, n] = x!.shape as [number, number];
    const { combine, reverse, exclusive } = attributes as { combine: string; reverse: boolean; exclusive: boolean };
    if (rows * n === 0) return;
    const type = computeType(dtype);
    const float = type === "f32";
    const bytes = bytesPerElement(dtype);
    const [row, k, from, to] = [code.local(), code.local(), code.local(), code.local()];
    const [sum, next, result] = [0, 0, 0].map(() => code.local(float ? F64 : I32)) as [number, number, number];
    const word = code.local(V128);
    const { low, high } = share(emitter, rows);
    const start = START[combine]![float ? 0 : type === "i32" ? 1 : 2]!;
    code.for(row, { local: low }, { local: high }, 1, () => {
      for (const [local, push] of [
        [from, () => pushInput(0)],
        [to, () => pushOutput(0)],
      ] as const) {
        code
          .get(row)
          .i32(n)
          .op(op.mul)
          .i32(reverse ? n - 1 : 0)
          .op(op.add);
        elementAddress(code, dtype, push);
        code.set(local);
      }
      if (float) code.f64(start);
      else code.i32(start);
      code.set(sum);
      code.for(k, 0, n, 1, () => {
        code.get(from);
        loadLane(code, dtype, 0, 0);
        convertLoaded(code, dtype);
        if (float) code.lane(v.extractF32, 0).op(f64.promote);
        else code.lane(v.extract, 0);
        code.set(next);
        fold(code, combine, float, type === "u32", sum, next);
        code
          .set(next)
          .get(exclusive ? sum : next)
          .set(result)
          .get(next)
          .set(sum)
          .get(result);
        code.op(...(float ? [f64.demote, v.splatF32] : [v.splat]));
        convertStored(code, dtype);
        code.set(word).get(to);
        storeLane(code, dtype, word, 0, 0);
        for (const address of [from, to])
          code
            .get(address)
            .i32(reverse ? -bytes : bytes)
            .op(op.add)
            .set(address);
      });
    });
  },
};
