import { bytesPerElement, computeType } from "../../../dtype.ts";
import type { TensorSpec } from "../../../op.ts";
import type { WasmKernel } from "../custom.ts";
import { convertLoaded, loadLane } from "../memory-access.ts";
import { I64, i64, op, v } from "../opcodes.ts";
import { elementAddress, share } from "./shared.ts";

const rowBytes = ({ shape }: TensorSpec): number => shape[1]! * 8 + 64;

/**
 * Rows of [R N] in order, and their former positions. An element becomes one i64, its order-preserving bits above its
 * position, so that equal elements stay in place whatever sorts the numbers; here a merge sort from the bottom up,
 * without branches on the data. Threads share the rows.
 */
export const sortWasm: WasmKernel = {
  scratch: ({ inputs: [x] }, threads) => 2 * rowBytes(x!) * threads,
  emit({ inputs: [x], attributes: { descending } }, emitter) {
    const { code, thread, pushInput, pushOutput, pushScratch } = emitter;
    const { dtype } = x!;
    const [rows, n] = x!.shape as [number, number];
    if (rows * n === 0) return;
    const type = computeType(dtype);
    const [row, at, key, bits, first] = [0, 0, 0, 0, 0].map(() => code.local()) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const [from, to, swap, width] = [0, 0, 0, 0].map(() => code.local()) as [number, number, number, number];
    const [left, right, leftEnd, rightEnd, out] = [0, 0, 0, 0, 0].map(() => code.local()) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const [a, b] = [code.local(I64), code.local(I64)];
    const takeLeft = code.local();
    const { low, high } = share(emitter, rows);
    code.for(row, { local: low }, { local: high }, 1, () => {
      code.get(row).i32(n).op(op.mul).set(first);
      pushScratch();
      code
        .get(thread)
        .i32(2 * rowBytes(x!))
        .op(op.mul, op.add)
        .tee(from)
        .i32(rowBytes(x!))
        .op(op.add)
        .set(to);
      code.for(at, 0, n, 1, () => {
        code.get(first, at).op(op.add);
        elementAddress(code, dtype, () => pushInput(0));
        loadLane(code, dtype, 0, 0);
        convertLoaded(code, dtype);
        code.lane(v.extract, 0).set(key);
        if (type === "f32") {
          // Negative floats count backwards; −0 is 0; every NaN is the greatest.
          code.get(key).i32(0x7fffffff).op(op.and).set(bits);
          code.i32(0x7fffffff);
          code.get(key, key).i32(31).op(op.shrS).i32(0x7fffffff).op(op.and, op.xor).i32(0).get(bits).op(op.select);
          code.get(bits).i32(0x7f800000).op(op.gtU, op.select).set(key);
        } else if (type === "u32")
          code
            .get(key)
            .i32(-(2 ** 31))
            .op(op.xor)
            .set(key);
        if (descending) code.get(key).i32(-1).op(op.xor).set(key);
        code.get(from).get(at).i32(8).op(op.mul, op.add);
        code.get(key).op(i64.extendS).i64(32).op(i64.shl).get(at).op(i64.extendU, i64.or).memory(i64.store);
      });
      code.i32(8).set(width);
      const end = n * 8;
      code.while(width, end, 0, () => {
        code.i32(0).set(out);
        code.while(out, end, 0, () => {
          const clipped = (local: number): void => {
            code.get(local).i32(end).get(local).i32(end).op(op.ltU, op.select).set(local);
          };
          code.get(out).tee(left).get(width).op(op.add).set(leftEnd);
          clipped(leftEnd);
          code.get(leftEnd).tee(right).get(width).op(op.add).set(rightEnd);
          clipped(rightEnd);
          code.while(out, { local: rightEnd }, 8, () => {
            // Past its end a run reads its last element again, which is then not taken.
            code.get(from, left).op(op.add).memory(i64.load).set(a);
            code.get(from, right).op(op.add).memory(i64.load).set(b);
            code.get(left, leftEnd).op(op.ltU);
            code.get(right, rightEnd).op(op.geU).get(a, b).op(i64.ltS, op.or, op.and).set(takeLeft);
            code.get(to, out).op(op.add).get(a, b, takeLeft).op(op.select).memory(i64.store);
            code.get(left).get(takeLeft).i32(3).op(op.shl, op.add).set(left);
            code.get(right).get(takeLeft).op(op.eqz).i32(3).op(op.shl, op.add).set(right);
          });
        });
        code.get(from).set(swap).get(to).set(from).get(swap).set(to);
        code.get(width).i32(1).op(op.shl).set(width);
      });
      code.for(at, 0, n, 1, () => {
        code.get(first, at).op(op.add);
        elementAddress(code, "i32", () => pushOutput(1));
        code.get(from).get(at).i32(8).op(op.mul, op.add).memory(op.load).tee(key).memory(op.store);
        code.get(first, at).op(op.add);
        elementAddress(code, dtype, () => pushOutput(0));
        code.get(first, key).op(op.add);
        elementAddress(code, dtype, () => pushInput(0));
        const bytes = bytesPerElement(dtype);
        code.memory(bytes === 4 ? op.load : bytes === 2 ? op.load16 : op.load8);
        code.memory(bytes === 4 ? op.store : bytes === 2 ? op.store16 : op.store8);
      });
    });
  },
};
