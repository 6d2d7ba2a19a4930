/**
 * Packing the operands of a product into panels (see gemm.ts): by the library where an operand is plain strided f32, by
 * rendered code where its index has quotients, guards or another dtype. That is how convolutions run.
 */
import type { Expr } from "../../ir/expr.ts";
import type { ContractKernel } from "../../ir/kernel.ts";
import { strideOf } from "../../ir/linear.ts";
import type { Code } from "./assembler.ts";
import { BATCH, LINE_BYTES, SUM } from "./contract-blocks.ts";
import { I32, op, v } from "./opcodes.ts";
import type { PlanContext } from "./plan.ts";
import { contiguous, type Split, segments, splitAxis } from "./split-axis.ts";
import { Values } from "./values.ts";

/** Emits a call. Locals: where to, first row, number of rows, first k, number of k, batch. */
export type Packer = (target: number, row: number, count: number, k: number, depth: number, batch: number) => void;

const PACKER = new Array<number>(7).fill(I32);

/** Loop variables of a split sum axis and of a split row axis. */
const SUM_HIGH = 4;
const SUM_LOW = 5;
const ROW_HIGH = 6;
const ROW_LOW = 7;

/** What packs rows of an operand (columns of B) into panels of `width`; `line`: the local of LINE_BYTES of memory. */
export function packerOf(
  expr: Expr,
  rowAxis: number,
  side: "A" | "B",
  kernel: ContractKernel,
  plan: PlanContext,
  line: number,
): Packer {
  const { code } = plan;
  const { tile } = plan.library;
  const strides = plainStrides(expr, [rowAxis, SUM, BATCH]);
  if (strides && expr.kind === "load") {
    const [byRow, byK, byBatch] = strides as [number, number, number];
    return (target, row, count, k, depth, batch) => {
      code.get(target);
      plan.pushBase(expr.buffer);
      code.i32(expr.index.constant * 4).op(op.add);
      if (byRow) code.addTimes(row, byRow * 4);
      if (byK) code.addTimes(k, byK * 4);
      if (byBatch) code.addTimes(batch, byBatch * 4);
      code.i32(byRow * 4).i32(byK * 4);
      code.get(count, depth).call(plan.call(`pack${side}`));
    };
  }
  const width = side === "A" ? tile.rows : tile.columns;
  const index = plan.define(PACKER, (inner, pushBase) => {
    const values = new Values(inner, plan.specs, pushBase, tile.fused);
    renderPacker(inner, values, expr, rowAxis, width, kernel);
  });
  return (target, row, count, k, depth, batch) => code.get(target, row, count, k, depth, batch, line).call(index);
}

/** Operand strides in elements when it is a plain f32 load; null when it needs rendered packing. */
function plainStrides(expr: Expr, axes: readonly number[]): number[] | null {
  if (expr.kind !== "load" || expr.dtype !== "f32") return null;
  if (expr.index.terms.some(({ atom }) => atom.kind !== "axis")) return null;
  return axes.map((axis) => strideOf(expr.index, axis)!);
}

/** The parameters of a rendered packer. */
const [TARGET, FIRST_ROW, COUNT, FIRST_K, DEPTH, BATCH_AT, LINE] = [0, 1, 2, 3, 4, 5, 6] as const;

/** Body of a packing function for any operand. The vectorised axis is the one along which elements lie side by side. */
function renderPacker(
  code: Code,
  values: Values,
  source: Expr,
  rowAxis: number,
  width: number,
  kernel: ContractKernel,
): void {
  const rowSize = rowAxis === 1 ? kernel.rows : kernel.columns;
  const byK = splitAxis(source, SUM, kernel.sum, SUM_HIGH, SUM_LOW);
  const byRow = splitAxis(source, rowAxis, rowSize, ROW_HIGH, ROW_LOW);
  values.bindAxis(BATCH, BATCH_AT);
  if (contiguous(byRow.expr, byRow.low) || !contiguous(byK.expr, byK.low)) packByRow(code, values, byRow, width);
  else packByK(code, values, byK, rowAxis, width);
}

/** For each k a line of rows, then from the line into every panel. */
function packByRow(code: Code, values: Values, rows: Split, width: number): void {
  const rowEnd = code.get(FIRST_ROW, COUNT).op(op.add).keep();
  const kEnd = code.get(FIRST_K, DEPTH).op(op.add).keep();
  const k = code.get(FIRST_K).keep();
  const panels = code.ceilDiv(COUNT, width).keep();
  const [panel, from, to, at] = [code.local(), code.local(), code.local(), code.local()];
  values.vector = rows.low;
  values.hoist([rows.expr]);
  code.get(LINE).i32(0).i32(LINE_BYTES).bulk(op.fill);
  code.while(k, { local: kEnd }, 1, () => {
    values.scope(() => {
      values.bindAxis(SUM, k);
      values.hoist([rows.expr]);
      code.get(LINE).set(at);
      segments(code, values, rows, FIRST_ROW, rowEnd, () => {
        code.get(at, values.value(rows.expr));
        if (values.width === 4) code.memory(v.store);
        else code.memory(v.storeLane, 0, 0);
        code.advance(at, values.width * 4);
      });
    });
    code.get(TARGET).get(k, FIRST_K).op(op.sub);
    code
      .i32(width * 4)
      .op(op.mul, op.add)
      .set(to);
    code.get(LINE).set(from);
    code.for(panel, 0, { local: panels }, 1, () => {
      for (let part = 0; part < width; part += part + 4 <= width ? 4 : 1) {
        const [load, store] = part + 4 <= width ? [v.load, v.store] : [op.load, op.store];
        code
          .get(to, from)
          .memory(load, part * 4)
          .memory(store, part * 4);
      }
      code.advance(from, width * 4);
      code
        .get(to)
        .addTimes(DEPTH, width * 4)
        .set(to);
    });
  });
}

/** For each row all its k, one lane after the other to its place in the panel. */
function packByK(code: Code, values: Values, sum: Split, rowAxis: number, width: number): void {
  const rowEnd = code.get(FIRST_ROW, COUNT).op(op.add).keep();
  const kEnd = code.get(FIRST_K, DEPTH).op(op.add).keep();
  const row = code.get(FIRST_ROW).keep();
  const [at, to] = [code.local(), code.local()];
  /** The address of the panel that holds row `local` of those packed here. */
  const panelOf = (local: number): Code => {
    code.get(TARGET).get(local).i32(width).op(op.divU).get(DEPTH).op(op.mul);
    return code.i32(width * 4).op(op.mul, op.add);
  };
  values.vector = sum.low;
  values.hoist([sum.expr]);
  // The last panel may have fewer rows: the others are zero.
  code.get(COUNT).i32(width).op(op.remU);
  code.if(() => {
    panelOf(COUNT).i32(0).get(DEPTH);
    code
      .i32(width * 4)
      .op(op.mul)
      .bulk(op.fill);
  });
  code.while(row, { local: rowEnd }, 1, () => {
    values.scope(() => {
      values.bindAxis(rowAxis, row);
      code.get(row, FIRST_ROW).op(op.sub).set(at);
      panelOf(at).get(at).i32(width).op(op.remU).i32(4).op(op.mul, op.add).set(to);
      values.hoist([sum.expr]);
      segments(code, values, sum, FIRST_K, kEnd, () => {
        const value = values.value(sum.expr);
        for (let lane = 0; lane < values.width; lane++) {
          code.get(to, value).memory(v.storeLane, lane * width * 4, lane);
        }
        code.advance(to, values.width * width * 4);
      });
    });
  });
}
