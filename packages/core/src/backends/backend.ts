import type { DType, HostArray, HostData } from "../dtype.ts";
import type { Schedule } from "../ir/kernel.ts";

/** Device memory of one tensor. Backends subclass it with their own fields. */
export type Buffer = { readonly dtype: DType; readonly size: number; readonly bytes: number };

/** A schedule made ready for one device: modules or pipelines compiled, temporaries planned. */
export type Executable = {
  readonly schedule: Schedule;
  /** Gives back what it holds: temporaries, pipelines. */
  dispose(): void;
};

/**
 * A device that runs schedules. (The `js` device runs graphs instead; see `backends/js`.)
 * All methods may be called while earlier runs are still in flight: order is first in, first out.
 */
export type Backend = {
  readonly name: "wasm" | "webgpu" | (string & {});
  /** Why the device cannot be used any more (every call throws it); null or absent while it can. */
  readonly lost?: Error | null;
  /** Greatest number of buffers one loop kernel may touch; the scheduler splits kernels that need more. */
  readonly maxKernelBuffers: number;
  /** How many of those a buffer counts for (a webgpu tensor longer than a binding takes several); default 1. */
  readonly bindingsOf?: (dtype: DType, size: number) => number;
  /** Allocates storage for `size` elements. Throws `OutOfMemoryError` or `LimitExceededError`. */
  allocate(dtype: DType, size: number): Buffer;
  /** Gives the storage back, once runs that use it are done. */
  free(buffer: Buffer): void;
  /** Copies host elements in; f16 and bf16 as stored bits, or as numbers, which are rounded. */
  write(buffer: Buffer, data: HostData): void;
  /** Copies elements out after every earlier run has finished; rejects with the error of the run that made them. */
  read(buffer: Buffer): Promise<HostArray>;
  /** Compiles. May be asynchronous (pipelines, WebAssembly modules). */
  prepare(schedule: Schedule): Promise<Executable>;
  /**
   * For devices that tell late whether they have memory: settles once there is enough for these fresh buffers and for
   * the run's temporaries. Before it rejects with `OutOfMemoryError` it gives unused memory back and tries once more;
   * nothing may have been written to the buffers yet.
   */
  ensure?(executable: Executable, buffers: readonly Buffer[]): Promise<void>;
  /**
   * Submits one run. Inputs and outputs are in schedule position order; an output may be the same buffer as an input
   * only where the scheduler said so. The promise settles with the run's verdict.
   */
  run(executable: Executable, inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<void>;
  /** Bytes and buffers in use now, and the most bytes there were. */
  memory(): { bytes: number; buffers: number; peak: number };
  /** Closes the device; its buffers are lost. */
  dispose(): Promise<void>;
};
