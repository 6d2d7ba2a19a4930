/** How much memory a computation is planned with; nothing is computed. */

import { buildProgram } from "../../packages/core/src/graph/program.ts";
import { onDebug, type Tensor } from "../../packages/core/src/index.ts";
import { scheduleProgram } from "../../packages/core/src/schedule/lower.ts";
import { planMemory } from "../../packages/core/src/schedule/memory.ts";

/** Temporaries begin at multiples of so many bytes, as on a GPU. */
const ALIGNMENT = 256;

/**
 * Bytes of the temporaries that these tensors are computed with, as a device lays them out that has no kernels of its
 * own and binds at most so many buffers to one.
 */
export function plannedBytes(tensors: readonly Tensor[], maxKernelBuffers = Number.POSITIVE_INFINITY): number {
  const nodes = tensors.map(({ node }) => node);
  const { program } = buildProgram(nodes, () => false);
  const limits = { name: "no device", maxKernelBuffers };
  return planMemory(scheduleProgram(program, limits), ALIGNMENT).bytes;
}

/** Most bytes of temporaries of any plan that is made while `run` runs. */
export async function mostPlannedBytes(run: () => Promise<unknown>): Promise<number> {
  let bytes = 0;
  const stop = onDebug((event) => {
    if (event.kind === "plan") bytes = Math.max(bytes, planMemory(event.schedule, ALIGNMENT).bytes);
  }, 3);
  await run().finally(stop);
  return bytes;
}
