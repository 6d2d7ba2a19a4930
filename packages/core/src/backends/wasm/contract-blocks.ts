/**
 * How a product is cut up. All of B (or as much as PACKED_LIMIT takes: a round) is packed first, by all threads. Then
 * each task is one block of sums, small enough for the cache: it packs its rows of A, a run of k at a time. Which sums
 * are added in which order depends on the depth of those runs alone, so results do not depend on blocks and threads.
 */
import type { Expr } from "../../ir/expr.ts";
import type { ContractKernel } from "../../ir/kernel.ts";
import { strideOf } from "../../ir/linear.ts";
import type { Library } from "./library.ts";

/** Loop variables of a product: batch, rows, columns, sum. */
export const BATCH = 0;
export const SUM = 3;

/** Steps of k for which a panel of B stays in the first-level cache. */
const DEPTH = 512;
/** Rows of a block of A (with DEPTH it fits half a second-level cache) and columns of a block of sums. */
const BLOCK_ROWS = 128;
const BLOCK_COLUMNS = 512;
/** Bytes of packed B that exist at once. */
const PACKED_LIMIT = 2 ** 25;
/** Most bytes of packed rows that a thread keeps from one block of columns to the next. */
const KEPT_ROWS = 2 ** 21;
/** Bytes of a line of elements on their way into panels: a block's rows or PACK_COLUMNS, and what panels round up. */
export const LINE_BYTES = 1024;

export const up = (value: number, step: number): number => Math.ceil(value / step) * step;

/** The sizes of everything; rows and columns are exchanged where that makes the stores contiguous. */
export type Blocks = ReturnType<typeof blocksOf>;

export function blocksOf(kernel: ContractKernel, { tile }: Library, threads: number) {
  const strides = (axis: number): boolean => kernel.stores.some(({ index }) => strideOf(index, axis) === 1);
  const swapped = !strides(2) && strides(1);
  const [rowAxis, columnAxis] = swapped ? [2, 1] : [1, 2];
  const [a, b] = swapped ? [kernel.b, kernel.a] : [kernel.a, kernel.b];
  const [m, n] = swapped ? [kernel.columns, kernel.rows] : [kernel.rows, kernel.columns];
  const { batch, sum } = kernel;
  const bBatches = dependsOn(b, BATCH) ? batch : 1;
  const panelBytes = up(n, tile.columns) * sum * 4;
  // Rounds: as many batches as the packed operand may take, or a part of one batch's columns.
  const perRound = bBatches === 1 ? batch : Math.max(1, Math.min(batch, Math.floor(PACKED_LIMIT / panelBytes)));
  const packedBatches = bBatches === 1 ? 1 : perRound;
  const fits = tile.columns * Math.max(1, Math.floor(PACKED_LIMIT / (sum * 4 * tile.columns)));
  const roundColumns = panelBytes > PACKED_LIMIT ? Math.min(fits, up(n, tile.columns)) : up(n, tile.columns);
  const rounds = Math.ceil(batch / perRound) * Math.ceil(n / roundColumns);
  const columnBlocks = Math.ceil(roundColumns / BLOCK_COLUMNS);
  const blockColumns = up(Math.ceil(roundColumns / columnBlocks), tile.columns);
  let blockRows = Math.min(up(BLOCK_ROWS, tile.rows), up(m, tile.rows));
  // Enough blocks for threads to share.
  while (threads > 1 && blockRows > 4 * tile.rows && Math.ceil(m / blockRows) * columnBlocks * perRound < 4 * threads) {
    blockRows = up(Math.ceil(blockRows / 2), tile.rows);
  }
  const depthBlocks = Math.max(1, Math.ceil(sum / DEPTH));
  const depth = Math.ceil(sum / depthBlocks);
  // Rows that several blocks of columns are multiplied by stay packed in whole.
  const keepsRows = columnBlocks > 1 && blockRows * sum * 4 <= KEPT_ROWS;
  const aBytes = up(blockRows * (keepsRows ? sum : depth) * 4, 64) + LINE_BYTES;
  const cBytes = up(blockRows * blockColumns * 4 + 64, 64);
  const bBytes = up(packedBatches * roundColumns * sum * 4, 64);
  return {
    ...{ rowAxis, columnAxis, a, b, m, n, batch, sum, depth, bBatches, perRound, packedBatches, rounds, roundColumns },
    ...{ columnBlocks, blockColumns, blockRows, keepsRows, aBytes, bBytes, cBytes },
  };
}

function dependsOn(expr: Expr, axis: number): boolean {
  if (expr.kind === "guard") {
    return dependsOn(expr.value, axis) || expr.conditions.some(({ index }) => strideOf(index, axis) !== 0);
  }
  if (expr.kind === "apply") return expr.args.some((arg) => dependsOn(arg, axis));
  return (expr.kind === "load" || expr.kind === "index") && strideOf(expr.index, axis) !== 0;
}
