/** Time of each kernel, from `VLM_DEBUG=2` on. */
import { debug } from "../../debug.ts";
import { bytesPerElement } from "../../dtype.ts";
import type { Kernel, Schedule } from "../../ir/kernel.ts";
import { buffersOf } from "../../schedule/memory.ts";

export class Clock {
  private readonly schedule: Schedule;
  private readonly ends: Float64Array;
  private begun = 0;

  constructor(schedule: Schedule) {
    this.schedule = schedule;
    this.ends = new Float64Array(schedule.kernels.length);
  }

  /** What takes the place of the library's `mark`, in the main thread's instance of a plan. */
  readonly imports = {
    mark: (kernel: number): void => {
      this.ends[kernel] = performance.now();
    },
  };

  start(): void {
    this.begun = performance.now();
  }

  report(): void {
    const { buffers, kernels } = this.schedule;
    kernels.forEach((kernel, at) => {
      const { reads, writes } = buffersOf(kernel);
      debug("kernel", () => ({
        name: kernel.name,
        milliseconds: this.ends[at]! - (at > 0 ? this.ends[at - 1]! : this.begun),
        bytes: [...reads, ...writes].reduce(
          (sum, of) => sum + buffers[of]!.size * bytesPerElement(buffers[of]!.dtype),
          0,
        ),
        flops: flopsOf(kernel),
      }));
    });
  }
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Multiply-adds count two; a loop kernel counts one operation for each element and stage. */
function flopsOf(kernel: Kernel): number {
  if (kernel.kind === "contract") return 2 * kernel.batch * kernel.rows * kernel.columns * kernel.sum;
  return kernel.kind === "loop" ? product(kernel.outer) * product(kernel.inner) * kernel.stages.length : 0;
}
