/** Measures the big tiles of matrix products once per device: no one tile is right for all GPUs. */
import { ExprBuilder } from "../../ir/expr.ts";
import type { BufferSpec, ContractKernel } from "../../ir/kernel.ts";
import { add, axis, scale } from "../../ir/linear.ts";
import type { Connection } from "./connection.ts";
import { DeviceMemory } from "./memory.ts";
import { Pipelines } from "./pipelines.ts";
import { bindGroupOf, preparePlan } from "./plan.ts";
import type { Target } from "./render/target.ts";
import { TILES, type Tile } from "./render/tiles.ts";

const SIZE = 2048;
const CANDIDATES = [TILES.medium, TILES.large, TILES.tall] as const;

/** The plain product of two SIZE × SIZE matrices, the right one transposed as weights are. */
function productKernel(): { kernel: ContractKernel; buffers: BufferSpec[] } {
  const build = new ExprBuilder();
  const [row, column, k] = [axis(1, SIZE), axis(2, SIZE), axis(3, SIZE)];
  const kernel: ContractKernel = {
    kind: "contract",
    name: "tuning",
    batch: 1,
    rows: SIZE,
    columns: SIZE,
    sum: SIZE,
    a: build.load(0, add(scale(row, SIZE), k), "f32"),
    b: build.load(1, add(scale(k, SIZE), column), "f32"),
    dtype: "f32",
    stores: [{ buffer: 2, index: add(scale(row, SIZE), column), value: build.stage(0, "f32") }],
  };
  const size = SIZE * SIZE;
  const buffers: BufferSpec[] = [
    { dtype: "f32", size, role: "input", position: 0 },
    { dtype: "f32", size, role: "input", position: 1 },
    { dtype: "f32", size, role: "output", position: 0 },
  ];
  return { kernel, buffers };
}

/** The fastest candidate; the one given if nothing can be measured. */
export async function tuneTiles(connection: Connection, target: Target): Promise<Tile> {
  const memory = new DeviceMemory(connection);
  const { kernel, buffers } = productKernel();
  let best: { time: number; tile: Tile } = { time: Number.POSITIVE_INFINITY, tile: target.big };
  try {
    const blocks = buffers.map(({ dtype, size }) => memory.allocate(dtype, size).block!);
    for (const big of CANDIDATES) {
      const plan = await preparePlan({ buffers, kernels: [kernel] }, connection, new Pipelines(connection), {
        ...target,
        big,
      });
      let time = Number.POSITIVE_INFINITY;
      // The first run warms up; of the others the best counts.
      for (let round = 0; round < 4; round++) {
        const started = performance.now();
        const encoder = connection.device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        for (const step of plan.steps) {
          pass.setPipeline(step.pipeline);
          const { device } = connection;
          pass.setBindGroup(
            0,
            bindGroupOf(step, blocks, plan.uniform, device, device.limits.maxStorageBufferBindingSize),
          );
          for (let i = 0; i < 4; i++) pass.dispatchWorkgroups(...step.workgroups);
        }
        pass.end();
        connection.device.queue.submit([encoder.finish()]);
        await connection.finished();
        if (round > 0) time = Math.min(time, performance.now() - started);
      }
      plan.uniform?.destroy();
      if (time < best.time) best = { time, tile: big };
    }
    for (const { gpu } of blocks) gpu.destroy();
  } catch {
    // A device that cannot run a candidate keeps the default; real trouble shows at the first real run.
    return target.big;
  }
  return best.tile;
}
