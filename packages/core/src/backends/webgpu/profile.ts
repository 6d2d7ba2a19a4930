/** Time of each kernel on the device, where it has timestamps: one pass per dispatch. */
import { debug } from "../../debug.ts";
import type { Block } from "./memory.ts";
import type { Plan, Step } from "./plan.ts";

const QUERY_RESOLVE = 0x200; // GPUBufferUsage.QUERY_RESOLVE
const COPY_SRC = 0x04;
const COPY_DST = 0x08;
const MAP_READ = 0x01;

/** Encodes a plan with a timestamp before and after every dispatch; the figures are reported when they arrive. */
export function profile(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  plan: Plan,
  bind: (step: Step) => GPUBindGroup,
  blocks: readonly Block[],
): void {
  const { steps } = plan;
  if (steps.length === 0) return;
  // A query set holds 4096 timestamps at most: a longer plan is measured up to there.
  const measured = Math.min(steps.length, 2048);
  const querySet = device.createQuerySet({ type: "timestamp", count: measured * 2 });
  steps.forEach((step, i) => {
    const timed = i < measured;
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
    const pass = encoder.beginComputePass(timed ? { timestampWrites } : {});
    pass.setPipeline(step.pipeline);
    pass.setBindGroup(0, bind(step));
    pass.dispatchWorkgroups(...step.workgroups);
    pass.end();
  });
  const bytes = measured * 16;
  const resolved = device.createBuffer({ size: bytes, usage: QUERY_RESOLVE | COPY_SRC });
  const readable = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
  encoder.resolveQuerySet(querySet, 0, measured * 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, readable, 0, bytes);
  const report = async (): Promise<void> => {
    await device.queue.onSubmittedWorkDone();
    await readable.mapAsync(1 /* GPUMapMode.READ */);
    const times = new BigUint64Array(readable.getMappedRange());
    steps.slice(0, measured).forEach((step, i) => {
      debug("kernel", () => ({
        name: step.name,
        milliseconds: Number(times[2 * i + 1]! - times[2 * i]!) / 1e6,
        bytes: bytesOf(step, blocks),
        flops: step.flops,
      }));
    });
  };
  queueMicrotask(() => {
    report()
      // A lost device has no times to tell; the run itself reports the loss.
      .catch(() => {})
      .finally(() => {
        querySet.destroy();
        resolved.destroy();
        readable.destroy();
      });
  });
}

const bytesOf = ({ bindings }: Step, blocks: readonly Block[]): number =>
  bindings.reduce((sum, { buffer }) => sum + blocks[buffer]!.bytes, 0);
