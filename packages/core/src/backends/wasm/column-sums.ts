/**
 * Sums down the columns of something wide, such as a bias's gradient. Column by column, every row's step is a new page
 * of memory; so rows are read from left to right, and the sums of all columns are in memory that stays in the cache.
 */
import type { LoopKernel } from "../../ir/kernel.ts";
import { strideOf } from "../../ir/linear.ts";
import { op, V128, v } from "./opcodes.ts";
import { eachRow, type Range } from "./rows.ts";
import { identityWord, MEMO, type Values } from "./values.ts";
import { accesses } from "./vector-axis.ts";

/** Rows whose numbers are added to one sum; the sums of such blocks then are added up. */
const BLOCK = 256;
/** Rows up to which that is exact enough. */
const MOST_ROWS = 256 * BLOCK;
/** Sums that fit a first-level cache. */
const MOST_SUMS = 4096;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

const reducesOf = ({ stages }: LoopKernel) => stages.filter((stage) => stage.kind === "reduce");

/** Bytes for two sums of every column: of a block of rows, and of all. */
export const columnBytes = (kernel: LoopKernel, columns: number): number =>
  2 * reducesOf(kernel).length * Math.ceil(columns / 16) * 64;

/** Whether a kernel whose vectorised axis is an outer one is such sums; `narrow` columns are summed in registers. */
export function goesByColumn(
  values: Values,
  kernel: LoopKernel,
  sizes: readonly number[],
  vector: number,
  narrow: number,
): boolean {
  const reduces = reducesOf(kernel);
  const [columns, rows] = [sizes[vector] ?? 0, product(kernel.inner)];
  if (reduces.length === 0 || columns <= narrow || columns * reduces.length > MOST_SUMS) return false;
  if (rows < 16 || rows > MOST_ROWS || reduces.some(({ value }) => values.stagesOf(value) !== 0)) return false;
  if (kernel.stages.some((stage) => stage.kind === "store" && stage.level === "inner")) return false;
  return accesses(values, { ...kernel, stages: reduces }).every(({ index }) => {
    const stride = strideOf(index, vector);
    return stride === 0 || stride === 1;
  });
}

/** All stages for the columns of a range. */
export function columnSums(
  values: Values,
  kernel: LoopKernel,
  sizes: readonly number[],
  vector: number,
  columns: Range,
): void {
  const { code } = values;
  const reduces = reducesOf(kernel);
  const stores = kernel.stages.filter((stage) => stage.kind === "store");
  const roots = reduces.map(({ value }) => value);
  const rows = product(kernel.inner);
  const inner = kernel.inner.map((_, at) => kernel.outer.length + at);
  const rowBytes = Math.ceil(sizes[vector]! / 16) * 64;
  const address = (): void => {
    code.get(MEMO).get(values.axes.get(vector)!).i32(2).op(op.shl, op.add);
  };
  /** Sum number `stage`, of a block (1) or of all (0). */
  const offset = (stage: number, block: number): number => (2 * stage + block) * rowBytes + values.unroll * 16;
  const load = (stage: number, block: number): void => {
    address();
    code.memory(values.width === 4 ? v.load : v.loadZero, offset(stage, block));
  };
  const store = (stage: number, block: number): void => {
    const value = code.keep(V128);
    address();
    code.get(value);
    if (values.width === 4) code.memory(v.store, offset(stage, block));
    else code.memory(v.storeLane, offset(stage, block), 0);
  };
  const eachColumn = (body: () => void): void => {
    values.loop(vector, code.bound(columns.low).keep(), columns.high, 2, (count) => {
      for (let u = 0; u < count; u++) {
        values.unroll = u;
        body();
      }
    });
  };
  const clear = (block: number): void =>
    eachColumn(() => {
      reduces.forEach(({ op: of, dtype }, stage) => {
        code.splat(identityWord(of.identity(dtype), dtype));
        store(stage, block);
      });
    });
  const addRows = (block: number, range: Range): void =>
    eachRow(values, sizes, inner, range, () => {
      values.hoist(roots);
      eachColumn(() => {
        const terms = roots.map((root) => values.value(root));
        reduces.forEach(({ op: of, dtype }, stage) => {
          load(stage, block);
          values.pushCombined(of.combine, code.keep(V128), terms[stage]!, dtype);
          store(stage, block);
        });
      });
    });
  clear(0);
  if (rows <= 2 * BLOCK) addRows(0, { low: 0, high: rows });
  else {
    const at = code.i32(0).keep();
    const end = code.local();
    code.while(at, rows, BLOCK, () => {
      code.get(at).i32(BLOCK).op(op.add).tee(end).i32(rows).get(end).i32(rows).op(op.ltU, op.select).set(end);
      clear(1);
      addRows(1, { low: { local: at }, high: { local: end } });
      eachColumn(() => {
        reduces.forEach(({ op: of, dtype }, stage) => {
          load(stage, 0);
          const total = code.keep(V128);
          load(stage, 1);
          values.pushCombined(of.combine, total, code.keep(V128), dtype);
          store(stage, 0);
        });
      });
    });
  }
  const { pushStage } = values;
  values.pushStage = (stage) => load(stage, 0);
  values.loop(vector, code.bound(columns.low).keep(), columns.high, 1, () => {
    reduces.forEach((_, stage) => {
      values.allowStage(stage);
    });
    const results = stores.map(({ value }) => values.value(value));
    stores.forEach(({ buffer, index }, at) => {
      values.store(buffer, index, results[at]!);
    });
  });
  values.pushStage = pushStage;
}
