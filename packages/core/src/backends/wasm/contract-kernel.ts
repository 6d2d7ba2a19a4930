/**
 * Matrix products. Operands are packed (by the library where they are plain strided f32, by rendered code where an index
 * has quotients, guards or another dtype: that is how convolutions run), multiplied block by block in the library, and
 * each finished block of sums goes through the rendered epilogue while it is in the cache.
 */
import type { Expr } from "../../ir/expr.ts";
import type { ContractKernel, LoopKernel } from "../../ir/kernel.ts";
import { add, axis as axisIndex, type Linear, scale, strideOf, substitute } from "../../ir/linear.ts";
import type { ElementwiseOp, ReduceOp } from "../../op.ts";
import type { Code } from "./assembler.ts";
import type { Library } from "./library.ts";
import { renderLoop, THREAD, THREADS } from "./loop-kernel.ts";
import { atomic, I32, op, v } from "./opcodes.ts";
import type { PlanContext } from "./plan.ts";
import { Values } from "./values.ts";

const BATCH = 0;
const SUM = 3;
/** Loop variables of a split sum axis. */
const SUM_HIGH = 4;
const SUM_LOW = 5;

/** Steps of k for which a panel of B stays in the first-level cache. */
const DEPTH = 256;
/** Rows of a block of A (with DEPTH it fits half a second-level cache) and columns of a block of sums. */
const BLOCK_ROWS = 128;
const BLOCK_COLUMNS = 512;
/** Columns packed by one thread at a time. */
const PACK_COLUMNS = 64;
/** Bytes of packed B that exist at once. */
const PACKED_LIMIT = 2 ** 25;

/** Most bytes of packed rows that a thread keeps from one block of columns to the next. */
const KEPT_ROWS = 2 ** 21;

/** Bytes of a line of elements on their way into panels: a block's rows or PACK_COLUMNS, and what panels round up. */
const LINE_BYTES = 1024;

const SIX = new Array<number>(6).fill(I32);

const up = (value: number, step: number): number => Math.ceil(value / step) * step;

/** The sizes of everything; rows and columns are exchanged where that makes the stores contiguous. */
type Geometry = ReturnType<typeof geometry>;

function geometry(kernel: ContractKernel, { tile }: Library, threads: number) {
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
  const columnBlocks = Math.ceil(roundColumns / BLOCK_COLUMNS);
  const blockColumns = up(Math.ceil(roundColumns / columnBlocks), tile.columns);
  let blockRows = Math.min(up(BLOCK_ROWS, tile.rows), up(m, tile.rows));
  // Enough blocks for threads to share; sums do not depend on the size of blocks.
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
    ...{ rowAxis, columnAxis, a, b, m, n, batch, sum, depth, bBatches, perRound, packedBatches, roundColumns },
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

/** Too thin for tiles: rendered as a reduction. */
const isThin = ({ rows, columns, sum }: ContractKernel): boolean => Math.min(rows, columns) < 2 || sum < 2;

/** Renders a product; gives the bytes of scratch memory it needs. */
export function renderContract(kernel: ContractKernel, plan: PlanContext): number {
  if (kernel.batch * kernel.rows * kernel.columns === 0) return 0;
  if (isThin(kernel)) return renderLoop(asLoop(kernel), plan);
  return new ContractRenderer(kernel, plan).render();
}

/** Operand strides in elements when it is a plain f32 load; null when it needs rendered packing. */
function affine(expr: Expr, axes: readonly number[]): number[] | null {
  if (expr.kind !== "load" || expr.dtype !== "f32") return null;
  if (expr.index.terms.some(({ atom }) => atom.kind !== "axis")) return null;
  return axes.map((axis) => strideOf(expr.index, axis)!);
}

class ContractRenderer {
  private readonly plan: PlanContext;
  private readonly code: Code;
  private readonly kernel: ContractKernel;
  private readonly g: Geometry;
  /** Local: the address of this thread's LINE_BYTES, where packing gathers a row. */
  private readonly line: number;

  constructor(kernel: ContractKernel, plan: PlanContext) {
    this.kernel = kernel;
    this.plan = plan;
    this.code = plan.code;
    this.g = geometry(kernel, plan.library, plan.threads);
    this.line = plan.code.local();
  }

  render(): number {
    const { code, plan, g } = this;
    const { tile } = plan.library;
    const [batch0, column0, task, packed, aBlock, cBlock] = this.locals(6);
    const kept = code.i32(-1).keep();
    plan.pushScratch();
    code.tee(packed).i32(g.bBytes).op(op.add);
    code
      .get(THREAD)
      .i32(g.aBytes + g.cBytes)
      .op(op.mul, op.add)
      .set(aBlock);
    code.get(aBlock).i32(g.aBytes).op(op.add).set(cBlock);
    code.get(cBlock).i32(LINE_BYTES).op(op.sub).set(this.line);
    const packA = this.packer(g.a, g.rowAxis, tile.rows, "packA");
    const packB = this.packer(g.b, g.columnAxis, tile.columns, "packB");
    // Functions of their own: the optimising compiler's code is entered at the next call.
    const epilogue = plan.define(SIX, (inner, pushBase) => this.renderEpilogue(inner, pushBase));
    const rounds = Math.ceil(g.batch / g.perRound) * Math.ceil(g.n / g.roundColumns);
    const place = rounds === 1 ? this.keptPlace() : null;
    if (place !== null) {
      code.i32(place).memory(op.load).get(packed).i32(place).memory(op.load).op(op.select).set(packed);
    }
    code.for(batch0, 0, g.batch, g.perRound, () => {
      code.for(column0, 0, g.n, g.roundColumns, () => {
        const batches = this.clipped(batch0, g.perRound, g.batch);
        const columns = this.clipped(column0, g.roundColumns, g.n);
        if (rounds > 1) plan.barrier();
        const pack = (): void => this.packRound(batch0, column0, batches, columns, packed, packB);
        if (place === null) pack();
        else code.i32(place).memory(op.load, 4).op(op.eqz).if(pack);
        plan.barrier();
        this.eachTask(rounds === 1, task, batches, columns, (inBatch, row, column, rowCount, columnCount) => {
          const [batch, k, depth, b, at, a] = this.locals(6);
          code.get(batch0, inBatch).op(op.add).set(batch);
          const rows = code.get(batch).i32(g.m).op(op.mul).get(row).op(op.add).keep();
          code.get(packed);
          if (g.packedBatches > 1)
            code
              .get(inBatch)
              .i32(g.roundColumns * g.sum * 4)
              .op(op.mul, op.add);
          code
            .get(column)
            .i32(g.sum * 4)
            .op(op.mul, op.add)
            .set(b);
          code.for(k, 0, g.sum, g.depth, () => {
            code.set(this.clippedTo(depth, k, g.depth, g.sum));
            code.get(aBlock);
            if (g.keepsRows) {
              code
                .get(k)
                .i32(g.blockRows * 4)
                .op(op.mul, op.add)
                .set(a);
              code
                .get(rows, kept)
                .op(op.ne)
                .if(() => packA(a, row, rowCount, k, depth, batch));
            } else {
              code.set(a);
              packA(a, row, rowCount, k, depth, batch);
            }
            code
              .get(a)
              .get(b)
              .get(k)
              .i32(tile.columns * 4)
              .op(op.mul, op.add)
              .get(cBlock);
            code
              .get(rowCount)
              .i32(tile.rows - 1)
              .op(op.add)
              .i32(tile.rows)
              .op(op.divU);
            code
              .get(columnCount)
              .i32(tile.columns - 1)
              .op(op.add)
              .i32(tile.columns)
              .op(op.divU);
            code
              .get(depth)
              .i32(tile.columns * g.sum * 4)
              .i32(g.blockColumns * 4)
              .get(k)
              .op(op.eqz);
            code.call(plan.call("multiply"));
          });
          code.get(rows).set(kept);
          code.get(column, column0).op(op.add).set(at);
          code.get(batch, row, at, rowCount, columnCount, cBlock).call(epilogue);
        });
      });
    });
    return g.bBytes + plan.threads * (g.aBytes + g.cBytes);
  }

  /** The words that tell where the packed operand is kept, when it is an input that all batches share. */
  private keptPlace(): number | null {
    const { g, plan } = this;
    if (g.b.kind !== "load" || g.bBatches > 1 || plan.specs[g.b.buffer]!.role !== "input") return null;
    const { columns } = plan.library.tile;
    const layout = `${columns} ${g.columnAxis} ${g.n}×${g.sum} ${g.b.dtype} ${g.b.index.key}`;
    return plan.keepPacked(g.b.buffer, layout, g.bBytes);
  }

  private locals(count: number): number[] & Six {
    return Array.from({ length: count }, () => this.code.local()) as number[] & Six;
  }

  /** min(size, end − at) in a new local. */
  private clipped(at: number, size: number, end: number): number {
    const local = this.code.local();
    this.code.set(this.clippedTo(local, at, size, end));
    return local;
  }

  private clippedTo(local: number, at: number, size: number, end: number): number {
    if (end % size === 0) this.code.i32(size);
    else {
      const rest = this.code.i32(end).get(at).op(op.sub).keep();
      this.code.i32(size).get(rest).i32(size).get(rest).op(op.ltS, op.select);
    }
    return local;
  }

  /** Threads take turns at packing PACK_COLUMNS columns of B. */
  private packRound(
    batch0: number,
    column0: number,
    batches: number,
    columns: number,
    packed: number,
    packB: Packer,
  ): void {
    const { code, g } = this;
    const width = up(PACK_COLUMNS, this.plan.library.tile.columns);
    const [unit, units, perBatch, inBatch, column, count] = this.locals(6);
    const [batch, k0, depth, target] = this.locals(4);
    code
      .get(columns)
      .i32(width - 1)
      .op(op.add)
      .i32(width)
      .op(op.divU)
      .set(perBatch);
    code.get(perBatch);
    if (g.packedBatches > 1) code.get(batches).op(op.mul);
    code.set(units);
    code.i32(g.sum).set(depth);
    code.get(THREAD).set(unit);
    code
      .get(unit, units)
      .op(op.ltS)
      .if(() => {
        code.loop(() => {
          code.get(unit, perBatch).op(op.divU).tee(inBatch).get(batch0).op(op.add).set(batch);
          code.get(unit, perBatch).op(op.remU).i32(width).op(op.mul).set(column);
          code.get(columns, column).op(op.sub).set(count);
          code.get(count).i32(width).get(count).i32(width).op(op.ltS, op.select).set(count);
          code
            .get(packed)
            .get(inBatch)
            .i32(g.roundColumns * g.sum * 4)
            .op(op.mul, op.add);
          code
            .get(column)
            .i32(g.sum * 4)
            .op(op.mul, op.add)
            .set(target);
          code.get(column, column0).op(op.add).set(column);
          packB(target, column, count, k0, depth, batch);
          code.get(unit, THREADS).op(op.add).tee(unit).get(units).op(op.ltS);
        });
      });
  }

  /** Threads take blocks of sums: whoever is free the next one (in a single round), or in turns. */
  private eachTask(
    dynamic: boolean,
    task: number,
    batches: number,
    columns: number,
    body: (inBatch: number, row: number, column: number, rowCount: number, columnCount: number) => void,
  ): void {
    const { code, g, plan } = this;
    const rowBlocks = Math.ceil(g.m / g.blockRows);
    const [tasks, inBatch, row, column, columnCount, rest] = this.locals(6);
    const counted = dynamic && plan.library.shared;
    code
      .get(batches)
      .i32(rowBlocks * g.columnBlocks)
      .op(op.mul)
      .set(tasks);
    const next = (): void => {
      if (counted) code.i32(plan.counter()).i32(1).memory(atomic.add).tee(task);
      else code.get(task, THREADS).op(op.add).tee(task);
      code.get(tasks).op(op.ltS);
    };
    if (counted) next();
    else code.get(THREAD).tee(task).get(tasks).op(op.ltS);
    code.if(() => {
      code.loop(() => {
        code.get(task).i32(g.columnBlocks).op(op.remU).i32(g.blockColumns).op(op.mul).set(column);
        code.get(columns, column).op(op.sub).set(columnCount);
        code.get(columnCount).i32(g.blockColumns).get(columnCount).i32(g.blockColumns).op(op.ltS, op.select);
        code.set(columnCount);
        code.get(task).i32(g.columnBlocks).op(op.divU).tee(rest).i32(rowBlocks).op(op.remU);
        code.i32(g.blockRows).op(op.mul).set(row);
        code.get(rest).i32(rowBlocks).op(op.divU).set(inBatch);
        // The last block of columns of a short last round may be empty.
        code
          .get(columnCount)
          .i32(0)
          .op(op.gtS)
          .if(() => {
            const rowCount = this.clipped(row, g.blockRows, g.m);
            body(inBatch, row, column, rowCount, columnCount);
          });
        next();
      });
    });
  }

  /** Emits calls that pack rows row … row + count − 1 of an operand (columns of B), k … k + depth − 1. */
  private packer(expr: Expr, rowAxis: number, width: number, name: string): Packer {
    const { code, plan } = this;
    const strides = affine(expr, [rowAxis, SUM, BATCH]);
    if (strides && expr.kind === "load") {
      const [byRow, byK, byBatch] = strides as [number, number, number];
      return (target, row, count, k, depth, batch) => {
        code.get(target);
        plan.pushBase(expr.buffer);
        code.i32(expr.index.constant * 4).op(op.add);
        for (const [local, stride] of [
          [row, byRow],
          [k, byK],
          [batch, byBatch],
        ] as const) {
          if (stride)
            code
              .get(local)
              .i32(stride * 4)
              .op(op.mul, op.add);
        }
        code
          .i32(byRow * 4)
          .i32(byK * 4)
          .get(count, depth)
          .call(plan.call(name));
      };
    }
    const index = plan.define([...SIX, I32], (inner, pushBase) =>
      renderPacker(
        inner,
        new Values(inner, plan.specs, pushBase, plan.library.tile.fused),
        expr,
        rowAxis,
        width,
        this.kernel,
      ),
    );
    return (target, row, count, k, depth, batch) =>
      code.get(target, row, count, k, depth, batch, this.line).call(index);
  }

  /** Body of the function that runs the stores over a finished block. */
  private renderEpilogue(code: Code, pushBase: (buffer: number) => void): void {
    const { plan, g, kernel } = this;
    const [batch, row, column, rowCount, columnCount, block] = [0, 1, 2, 3, 4, 5] as const;
    const values = new Values(code, plan.specs, pushBase, plan.library.tile.fused);
    const [columnAt, columnEnd, line] = [code.local(), code.local(), code.local()];
    const rowEnd = code.get(row, rowCount).op(op.add).keep();
    const rowAt = code.get(row).keep();
    code.get(column, columnCount).op(op.add).set(columnEnd);
    // Where element (row, 0) would be: the block starts at `column`.
    code.get(block).get(column).i32(4).op(op.mul, op.sub).set(line);
    values.vector = g.columnAxis;
    values.stagesVary = true;
    values.pushStage = () => {
      code
        .get(line)
        .get(columnAt)
        .i32(2)
        .op(op.shl, op.add)
        .memory(v.load, values.unroll * 16);
    };
    const roots = kernel.stores.map((store) => store.value);
    values.bindAxis(BATCH, batch);
    values.hoist(roots, kernel.stores);
    code.while(rowAt, { local: rowEnd }, 1, () => {
      values.scope(() => {
        values.bindAxis(g.rowAxis, rowAt);
        values.hoist(roots, kernel.stores);
        code.get(column).set(columnAt);
        const unroll = values.countNodes(roots) > 48 ? 1 : 2;
        values.loop(g.columnAxis, columnAt, { local: columnEnd }, unroll, (count) => {
          for (let u = 0; u < count; u++) {
            values.unroll = u;
            values.allowStage(0);
            const results = roots.map((root) => values.value(root));
            kernel.stores.forEach((store, at) => {
              values.store(store.buffer, store.index, results[at]!);
            });
          }
        });
      });
      code
        .get(line)
        .i32(g.blockColumns * 4)
        .op(op.add)
        .set(line);
    });
  }
}

type Six = [number, number, number, number, number, number];

/** Locals: where to, first row, number of rows, first k, number of k, batch. */
type Packer = (target: number, row: number, count: number, k: number, depth: number, batch: number) => void;

/** Loop variables of a split row axis. */
const ROW_HIGH = 6;
const ROW_LOW = 7;

/**
 * Body of a packing function for any operand. The vectorised axis is the one along which elements lie side by side.
 * Where that axis is taken apart by quotients (a convolution's windows, channels, image rows) it runs as two nested
 * loops whose inner one is free of them.
 */
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
  const [target, row0, count, k0, depth, batch, line] = [0, 1, 2, 3, 4, 5, 6] as const;
  values.bindAxis(BATCH, batch);
  const [k, kEnd, row, rowEnd, to] = Array.from({ length: 5 }, () => code.local()) as [
    number,
    number,
    number,
    number,
    number,
  ];
  code.get(k0).tee(k).get(depth).op(op.add).set(kEnd);
  code.get(row0).tee(row).get(count).op(op.add).set(rowEnd);
  if (contiguous(byRow.expr, byRow.low) || !contiguous(byK.expr, byK.low)) {
    // For each k a line of rows, then from the line into every panel.
    const panels = code
      .get(count)
      .i32(width - 1)
      .op(op.add)
      .i32(width)
      .op(op.divU)
      .keep();
    const [panel, from, at] = [code.local(), code.local(), code.local()];
    values.vector = byRow.low;
    values.hoist([byRow.expr]);
    code.get(line).i32(0).i32(LINE_BYTES).bulk(op.fill);
    code.while(k, { local: kEnd }, 1, () => {
      values.scope(() => {
        values.bindAxis(SUM, k);
        values.hoist([byRow.expr]);
        code.get(line).set(at);
        segments(code, values, byRow, row, rowEnd, () => {
          const value = values.value(byRow.expr);
          code
            .get(at, value)
            .memory(...((values.width === 4 ? [v.store, 0] : [v.storeLane, 0, 0]) as [number, number]));
          code
            .get(at)
            .i32(values.width * 4)
            .op(op.add)
            .set(at);
        });
      });
      code
        .get(target)
        .get(k, k0)
        .op(op.sub)
        .i32(width * 4)
        .op(op.mul, op.add)
        .set(to);
      code.get(line).set(from);
      code.for(panel, 0, { local: panels }, 1, () => {
        for (let part = 0; part < width; part += part + 4 <= width ? 4 : 1) {
          const whole = part + 4 <= width;
          code
            .get(to, from)
            .memory(whole ? v.load : op.load, part * 4)
            .memory(whole ? v.store : op.store, part * 4);
        }
        code
          .get(from)
          .i32(width * 4)
          .op(op.add)
          .set(from);
        code
          .get(to)
          .get(depth)
          .i32(width * 4)
          .op(op.mul, op.add)
          .set(to);
      });
    });
    return;
  }
  values.vector = byK.low;
  values.hoist([byK.expr]);
  // The last panel may have fewer rows: the others are zero.
  code
    .get(count)
    .i32(width)
    .op(op.remU)
    .if(() => {
      code
        .get(target)
        .get(count)
        .i32(width)
        .op(op.divU)
        .get(depth)
        .op(op.mul)
        .i32(width * 4)
        .op(op.mul, op.add);
      code
        .i32(0)
        .get(depth)
        .i32(width * 4)
        .op(op.mul)
        .bulk(op.fill);
    });
  code.while(row, { local: rowEnd }, 1, () => {
    values.scope(() => {
      values.bindAxis(rowAxis, row);
      const at = code.get(row, row0).op(op.sub).keep();
      code
        .get(target)
        .get(at)
        .i32(width)
        .op(op.divU)
        .get(depth)
        .op(op.mul)
        .i32(width * 4)
        .op(op.mul, op.add);
      code.get(at).i32(width).op(op.remU).i32(4).op(op.mul, op.add).set(to);
      values.hoist([byK.expr]);
      code.get(k0).set(k);
      segments(code, values, byK, k, kEnd, () => {
        const value = values.value(byK.expr);
        for (let lane = 0; lane < values.width; lane++) {
          code.get(to, value).memory(v.storeLane, lane * width * 4, lane);
        }
        code
          .get(to)
          .i32(values.width * width * 4)
          .op(op.add)
          .set(to);
      });
    });
  });
}

/** An axis as high · part + low, or whole (part 0: `low` is the axis itself). */
type Split = { expr: Expr; part: number; high: number; low: number };

/** Loops over an axis from first to end (locals, unchanged), in segments within which its high part is one value. */
function segments(code: Code, values: Values, split: Split, first: number, end: number, body: () => void): void {
  const { expr, part, high, low } = split;
  const at = code.get(first).keep();
  if (part === 0) {
    values.loop(low, at, { local: end }, 1, body);
    return;
  }
  const [highAt, next, start] = [code.local(), code.local(), code.local()];
  code.while(at, { local: end }, 0, () => {
    values.scope(() => {
      code.get(at).i32(part).op(op.divU).tee(highAt).i32(part).op(op.mul).set(start);
      code.get(start).i32(part).op(op.add).tee(next).get(end, next).get(end).op(op.ltS, op.select).set(next);
      values.bindAxis(high, highAt);
      values.hoist([expr]);
      const lowAt = code.get(at, start).op(op.sub).keep();
      const lowEnd = code.get(next, start).op(op.sub).keep();
      values.loop(low, lowAt, { local: lowEnd }, 1, body);
      code.get(next).set(at);
    });
  });
}

const contiguous = (expr: Expr, axis: number): boolean =>
  expr.kind === "load" ? strideOf(expr.index, axis) === 1 : expr.kind === "guard" && contiguous(expr.value, axis);

/**
 * Takes an axis apart so that no quotient or remainder depends on its low part; leaves it whole where there is none or
 * that cannot be.
 */
function splitAxis(source: Expr, axis: number, size: number, high: number, low: number): Split {
  const whole = { expr: source, part: 0, high, low: axis };
  let part = 0;
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  const visit = (index: Linear): void => {
    for (const { atom } of index.terms) {
      if (atom.kind === "axis" || atom.kind === "value") continue;
      const direct = atom.of.terms.some((term) => term.atom.kind === "axis" && term.atom.axis === axis);
      if (direct) part = gcd(atom.by, part);
      else visit(atom.of);
    }
  };
  eachIndex(source, visit);
  if (part < 4 || part >= size || size % part !== 0) return whole;
  const sum = add(scale(axisIndex(high, size / part), part), axisIndex(low, part));
  const replace = (index: Linear): Linear => substitute(index, (each) => (each === axis ? sum : undefined));
  const walk = (e: Expr): Expr => {
    if (e.kind === "load") return { ...e, index: replace(e.index), key: `${e.key}'${axis}` };
    if (e.kind !== "guard") return e;
    const conditions = e.conditions.map((c) => ({ ...c, index: replace(c.index) }));
    return { ...e, value: walk(e.value), conditions, key: `${e.key}'${axis}` };
  };
  const expr = walk(source);
  let plain = true;
  eachIndex(expr, (index) => {
    plain &&= strideOf(index, low) !== null;
  });
  return plain ? { expr, part, high, low } : whole;
}

/** The indices of a load and of the guards around it. */
function eachIndex(expr: Expr, visit: (index: Linear) => void): void {
  if (expr.kind === "load") visit(expr.index);
  if (expr.kind !== "guard") return;
  eachIndex(expr.value, visit);
  for (const { index } of expr.conditions) visit(index);
}

/** A product as a reduction, for shapes on which tiles would be mostly padding. */
function asLoop(kernel: ContractKernel): LoopKernel {
  const { a, b, dtype } = kernel;
  const native = (name: string): ElementwiseOp => ({
    kind: "elementwise",
    name,
    arity: 2,
    dtype: ([x]) => x!,
    eval: ([x, y]) => (name === "mul" ? x! * y! : x! + y!),
    wgsl: () => "",
  });
  const total: ReduceOp = { kind: "reduce", name: "sum", combine: native("add"), identity: () => 0 };
  const value: Expr = { kind: "apply", op: native("mul"), args: [a, b], dtype, key: `${a.key}*${b.key}` };
  return {
    kind: "loop",
    name: kernel.name,
    outer: [kernel.batch, kernel.rows, kernel.columns],
    inner: [kernel.sum],
    stages: [
      { kind: "reduce", op: total, value, dtype },
      ...kernel.stores.map((store) => ({ kind: "store" as const, level: "outer" as const, ...store })),
    ],
  };
}
