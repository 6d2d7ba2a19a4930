/**
 * Matrix products. Operands are packed into panels (contract-pack.ts), multiplied block by block in the library
 * (gemm.ts), and each finished block of sums goes through the kernel's stores (contract-epilogue.ts) while it is in the
 * cache. How much is packed at once, and what a block is, is decided in contract-blocks.ts.
 */
import type { ContractKernel } from "../../ir/kernel.ts";
import type { Code } from "./assembler.ts";
import { type Blocks, blocksOf, LINE_BYTES, up } from "./contract-blocks.ts";
import { EPILOGUE, renderEpilogue } from "./contract-epilogue.ts";
import { type Packer, packerOf } from "./contract-pack.ts";
import { asLoop, isThin } from "./contract-thin.ts";
import { renderLoop, THREAD, THREADS } from "./loop-kernel.ts";
import { atomic, op } from "./opcodes.ts";
import type { PlanContext } from "./plan.ts";

/** Columns packed by one thread at a time. */
const PACK_COLUMNS = 64;

/** Renders a product; gives the bytes of scratch memory it needs. */
export function renderContract(kernel: ContractKernel, plan: PlanContext): number {
  if (kernel.batch * kernel.rows * kernel.columns === 0) return 0;
  if (isThin(kernel)) return renderLoop(asLoop(kernel), plan);
  return new ContractRenderer(kernel, plan).render();
}

/** Locals that hold one block of sums: its batch within the round, where it starts within the round, its size. */
type Block = { inBatch: number; row: number; column: number; rowCount: number; columnCount: number };

class ContractRenderer {
  private readonly plan: PlanContext;
  private readonly code: Code;
  private readonly blocks: Blocks;
  /** Locals: first batch and first column of the round, and how many of each. */
  private readonly batch0: number;
  private readonly column0: number;
  private batches = -1;
  private columns = -1;
  /** Locals: the address of the packed B; of this thread's packed rows of A and block of sums; its LINE_BYTES. */
  private readonly packed: number;
  private readonly aBlock: number;
  private readonly cBlock: number;
  private readonly line: number;
  private readonly packA: Packer;
  private readonly packB: Packer;
  private readonly epilogue: number;

  constructor(kernel: ContractKernel, plan: PlanContext) {
    const { code } = plan;
    const blocks = blocksOf(kernel, plan.library, plan.threads);
    this.plan = plan;
    this.code = code;
    this.blocks = blocks;
    [this.batch0, this.column0, this.packed, this.aBlock, this.cBlock, this.line] = this.locals(6);
    this.packA = packerOf(blocks.a, blocks.rowAxis, "A", kernel, plan, this.line);
    this.packB = packerOf(blocks.b, blocks.columnAxis, "B", kernel, plan, this.line);
    // Functions of their own: the optimising compiler's code is entered at the next call.
    this.epilogue = plan.define(EPILOGUE, (inner, base) => renderEpilogue(inner, base, kernel, blocks, plan));
  }

  render(): number {
    const { code, plan, batch0, column0 } = this;
    const { aBytes, bBytes, cBytes, batch, perRound, n, roundColumns, rounds } = this.blocks;
    plan.pushScratch();
    code.tee(this.packed).i32(bBytes).op(op.add);
    code.addTimes(THREAD, aBytes + cBytes).set(this.aBlock);
    code.get(this.aBlock).i32(aBytes).op(op.add).set(this.cBlock);
    code.get(this.cBlock).i32(LINE_BYTES).op(op.sub).set(this.line);
    const place = rounds === 1 ? this.keptPlace() : null;
    if (place !== null) {
      code.i32(place).memory(op.load).get(this.packed).i32(place).memory(op.load).op(op.select).set(this.packed);
    }
    const kept = code.i32(-1).keep();
    code.for(batch0, 0, batch, perRound, () => {
      code.for(column0, 0, n, roundColumns, () => {
        this.batches = this.clipped(batch0, perRound, batch);
        this.columns = this.clipped(column0, roundColumns, n);
        if (rounds > 1) plan.barrier();
        if (place === null) this.packRound();
        else
          code
            .i32(place)
            .memory(op.load, 4)
            .op(op.eqz)
            .if(() => this.packRound());
        plan.barrier();
        this.eachBlock((block) => this.multiply(block, kept));
      });
    });
    return bBytes + plan.threads * (aBytes + cBytes);
  }

  /** The words that tell where the packed operand is kept, when it is an input that all batches share. */
  private keptPlace(): number | null {
    const { plan } = this;
    const { b, bBatches, bBytes, columnAxis, n, sum } = this.blocks;
    if (b.kind !== "load" || bBatches > 1 || plan.specs[b.buffer]!.role !== "input") return null;
    const { columns } = plan.library.tile;
    const layout = `${columns} ${columnAxis} ${n}×${sum} ${b.dtype} ${b.index.key}`;
    return plan.keepPacked(b.buffer, layout, bBytes);
  }

  /** Threads take turns at packing PACK_COLUMNS columns of B. */
  private packRound(): void {
    const { code, batches, columns } = this;
    const { packedBatches, sum, depth } = this.blocks;
    const width = up(PACK_COLUMNS, this.plan.library.tile.columns);
    const [unit, units, perBatch, inBatch, column, count] = this.locals(6);
    const [batch, from, k, steps, target] = this.locals(5);
    code.ceilDiv(columns, width).set(perBatch);
    code.get(perBatch);
    if (packedBatches > 1) code.get(batches).op(op.mul);
    code.set(units);
    code.get(THREAD).set(unit);
    code.get(unit, units).op(op.ltS);
    code.if(() => {
      code.loop(() => {
        code.get(unit, perBatch).op(op.divU).tee(inBatch).get(this.batch0).op(op.add).set(batch);
        code.get(unit, perBatch).op(op.remU).i32(width).op(op.mul).set(column);
        code.get(columns, column).op(op.sub).set(count);
        code.least(count, width).set(count);
        code.get(column, this.column0).op(op.add).set(from);
        code.for(k, 0, sum, depth, () => {
          this.setClipped(steps, k, depth, sum);
          this.pushPacked(inBatch, column, k, steps).set(target);
          this.packB(target, from, count, k, steps, batch);
        });
        code.get(unit, THREADS).op(op.add).tee(unit).get(units).op(op.ltS);
      });
    });
  }

  /** Pushes the address of a column's panel for `steps` steps from k on: panels that follow each other in use lie so. */
  private pushPacked(inBatch: number, column: number, k: number, steps: number): Code {
    const { packedBatches, roundColumns, sum } = this.blocks;
    const { code } = this;
    code.get(this.packed);
    if (packedBatches > 1) code.addTimes(inBatch, roundColumns * sum * 4);
    code.addTimes(k, roundColumns * 4).get(column, steps);
    return code.op(op.mul).i32(4).op(op.mul, op.add);
  }

  /** Threads take blocks of sums: whoever is free the next one (in a single round), or in turns. */
  private eachBlock(body: (block: Block) => void): void {
    const { code, plan } = this;
    const { m, rounds, blockRows, blockColumns, columnBlocks } = this.blocks;
    const rowBlocks = Math.ceil(m / blockRows);
    const [task, tasks, inBatch, row, column, columnCount] = this.locals(6);
    const rest = code.local();
    const counted = rounds === 1 && plan.library.shared;
    code
      .get(this.batches)
      .i32(rowBlocks * columnBlocks)
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
        code.get(task).i32(columnBlocks).op(op.remU).i32(blockColumns).op(op.mul).set(column);
        code.get(this.columns, column).op(op.sub).set(columnCount);
        code.least(columnCount, blockColumns).set(columnCount);
        code.get(task).i32(columnBlocks).op(op.divU).tee(rest).i32(rowBlocks).op(op.remU);
        code.i32(blockRows).op(op.mul).set(row);
        code.get(rest).i32(rowBlocks).op(op.divU).set(inBatch);
        // The last block of columns of a short last round may be empty.
        code.get(columnCount).i32(0).op(op.gtS);
        code.if(() => {
          const rowCount = this.clipped(row, blockRows, m);
          body({ inBatch, row, column, rowCount, columnCount });
        });
        next();
      });
    });
  }

  /** One block of sums, and its stores. `kept`: the local that holds which rows of A are packed, where they stay packed. */
  private multiply({ inBatch, row, column, rowCount, columnCount }: Block, kept: number): void {
    const { code, plan, aBlock, cBlock } = this;
    const { tile } = plan.library;
    const { m, sum, depth, keepsRows, blockRows, blockColumns } = this.blocks;
    const [batch, rows, k, count, a] = this.locals(5);
    code.get(this.batch0, inBatch).op(op.add).set(batch);
    code.get(batch).i32(m).op(op.mul).get(row).op(op.add).set(rows);
    code.for(k, 0, sum, depth, () => {
      this.setClipped(count, k, depth, sum);
      const packRows = (): void => this.packA(a, row, rowCount, k, count, batch);
      code.get(aBlock);
      if (keepsRows) {
        code.addTimes(k, blockRows * 4).set(a);
        code.get(rows, kept).op(op.ne).if(packRows);
      } else {
        code.set(a);
        packRows();
      }
      code.get(a);
      this.pushPacked(inBatch, column, k, count)
        .get(cBlock)
        .get(rowCount)
        .ceilDiv(columnCount, tile.columns)
        .get(count);
      code
        .get(count)
        .i32(tile.columns * 4)
        .op(op.mul)
        .i32(blockColumns * 4);
      code.get(k).op(op.eqz).call(plan.call("multiply"));
    });
    code.get(rows).set(kept);
    const at = code.get(column, this.column0).op(op.add).keep();
    code.get(batch, row, at, rowCount, columnCount, cBlock).call(this.epilogue);
  }

  private locals(count: number): number[] & Six {
    return Array.from({ length: count }, () => this.code.local()) as number[] & Six;
  }

  /** min(size, end − at) in a new local. */
  private clipped(at: number, size: number, end: number): number {
    const local = this.code.local();
    this.setClipped(local, at, size, end);
    return local;
  }

  private setClipped(local: number, at: number, size: number, end: number): void {
    const { code } = this;
    if (end % size === 0) code.i32(size).set(local);
    else {
      code.i32(end).get(at).op(op.sub).set(local);
      code.least(local, size).set(local);
    }
  }
}

type Six = [number, number, number, number, number, number];
