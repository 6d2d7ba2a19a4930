/** What is done with a finished block of sums while it is in the cache: bias, activation, whatever the kernel stores. */
import type { ContractKernel } from "../../ir/kernel.ts";
import type { Code } from "./assembler.ts";
import { BATCH, type Blocks } from "./contract-blocks.ts";
import { I32, op, v } from "./opcodes.ts";
import type { PlanContext } from "./plan.ts";
import { Values } from "./values.ts";

/** Batch, first row, first column, their numbers, the block's address. */
export const EPILOGUE = new Array<number>(6).fill(I32);

/** Body of the function that runs the stores over a block. */
export function renderEpilogue(
  code: Code,
  pushBase: (buffer: number) => void,
  { stores }: ContractKernel,
  { rowAxis, columnAxis, blockColumns }: Blocks,
  { specs, library }: PlanContext,
): void {
  const [batch, row, column, rowCount, columnCount, block] = [0, 1, 2, 3, 4, 5] as const;
  const values = new Values(code, specs, pushBase, library.tile.fused);
  const [columnAt, columnEnd, line] = [code.local(), code.local(), code.local()];
  const rowEnd = code.get(row, rowCount).op(op.add).keep();
  const rowAt = code.get(row).keep();
  code.get(column, columnCount).op(op.add).set(columnEnd);
  // Where element (row, 0) would be: the block starts at `column`.
  code.get(block).get(column).i32(4).op(op.mul, op.sub).set(line);
  values.vector = columnAxis;
  values.stagesVary = true;
  values.pushStage = () => {
    code
      .get(line)
      .get(columnAt)
      .i32(2)
      .op(op.shl, op.add)
      .memory(v.load, values.unroll * 16);
  };
  const roots = stores.map((store) => store.value);
  values.bindAxis(BATCH, batch);
  values.hoist(roots, stores);
  code.while(rowAt, { local: rowEnd }, 1, () => {
    values.scope(() => {
      values.bindAxis(rowAxis, rowAt);
      values.hoist(roots, stores);
      code.get(column).set(columnAt);
      const unroll = values.countNodes(roots) > 48 ? 1 : 2;
      values.loop(columnAxis, columnAt, { local: columnEnd }, unroll, (count) => {
        for (let u = 0; u < count; u++) {
          values.unroll = u;
          values.allowStage(0);
          const results = roots.map((root) => values.value(root));
          stores.forEach((store, at) => {
            values.store(store.buffer, store.index, results[at]!);
          });
        }
      });
    });
    code.advance(line, blockColumns * 4);
  });
}
