/** The wasm device: schedules rendered to WebAssembly SIMD, one module for each plan. */
import { debugLevel } from "../../debug.ts";
import { bytesPerElement, type DType, type HostArray, type HostData } from "../../dtype.ts";
import { VlmError } from "../../errors.ts";
import { bitsToFloats, floatsToBits } from "../../float-bits.ts";
import { unclearedArray } from "../../host-memory.ts";
import type { Schedule } from "../../ir/kernel.ts";
import type { Backend, Buffer, Executable } from "../backend.ts";
import { Allocator } from "./allocator.ts";
import { Clock } from "./clock.ts";
import { createLibrary, hasRelaxedSimd, type Library, tunedTile, warm } from "./library.ts";
import { PackedOperands } from "./packed.ts";
import { blockLayout, packedWords, type RenderedPlan, renderPlan } from "./plan.ts";
import { ThreadPool } from "./pool.ts";
import { threadCount } from "./threads.ts";

export { enableRelaxedSimd, hasRelaxedSimd } from "./library.ts";

export type WasmOptions = {
  /** Number of threads. Default: `VLM_THREADS`, else the processors this process may use. */
  threads?: number;
  /** Fused multiply-add; default: where the engine has it. */
  relaxed?: boolean;
  /** Makes a page's worker from the package's `worker.js`, where a bundler needs to be told. */
  createWorker?: () => Worker;
  /** Greatest memory in bytes. Default 4 GiB. */
  maximumBytes?: number;
};

type WasmBuffer = Buffer & { address: number };

type WasmExecutable = Executable & {
  id: number;
  /** Number of the message that brought the plan to the workers. */
  mail: number;
  plan: RenderedPlan;
  /** Address of the argument block. */
  block: number;
  run: (thread: number, threads: number) => void;
  /** There when kernels are timed. */
  clock: Clock | null;
};

/** Low memory: control words. */
const RESERVED = 65536;

/** Plans with less work than this run on one thread: while workers look for work, and while they sleep. */
const WORTH_SHARING = 20_000;
const WORTH_WAKING = 400_000;

/** Opens the wasm device. Throws `BackendUnavailableError` where the page's policy or the engine forbids it. */
export async function createWasmBackend(options: WasmOptions = {}): Promise<Backend> {
  const threads = threadCount(options.threads);
  let library: Library;
  try {
    library = await createLibrary(await tunedTile(options.relaxed ?? hasRelaxedSimd()), threads > 1);
  } catch (cause) {
    throw new VlmError("BackendUnavailableError", "WASM_UNAVAILABLE", {
      what: `wasm: the engine does not compile the device's code: ${cause}`,
      hint: "a page needs script-src 'wasm-unsafe-eval', and the engine WebAssembly SIMD; else use the webgpu device",
      cause,
    });
  }
  const { memory, pages } = createMemory(threads > 1, options.maximumBytes ?? 2 ** 32);
  return new WasmBackend(memory, pages, library, threads, options.createWorker);
}

/** Shared memory reserves its greatest size at once, which small systems refuse: then half as much is asked for. */
function createMemory(shared: boolean, bytes: number): { memory: WebAssembly.Memory; pages: number } {
  for (let maximum = Math.min(65536, Math.floor(bytes / 65536)); ; maximum >>= 1) {
    try {
      return { memory: new WebAssembly.Memory({ initial: Math.min(32, maximum), maximum, shared }), pages: maximum };
    } catch (cause) {
      if (maximum > 4096) continue;
      throw new VlmError("OutOfMemoryError", "WASM_MEMORY", {
        what: "wasm: not even 256 MiB of memory are to be had",
        hint: "close other pages or processes",
        cause,
      });
    }
  }
}

/** A page may not make workers from another origin's file, such as a CDN's: then the device has one thread. */
function startThreads(start: () => ThreadPool): ThreadPool | null {
  try {
    return start();
  } catch (cause) {
    console.warn(`@vlm/core: the wasm device runs on one thread: ${cause}; give useDevice a createWorker`);
    return null;
  }
}

class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly maxKernelBuffers = 64;
  private readonly allocator: Allocator;
  private readonly library: Library;
  private readonly exports: WebAssembly.Exports;
  private readonly threads: number;
  private readonly pool: ThreadPool | null;
  private readonly packed: PackedOperands;
  private plans = 0;
  private arena = 0;
  private arenaBytes = 0;
  private bytes = 0;
  private buffers = 0;
  private peak = 0;

  constructor(
    memory: WebAssembly.Memory,
    maximumPages: number,
    library: Library,
    threads: number,
    createWorker?: () => Worker,
  ) {
    this.allocator = new Allocator(memory, RESERVED, maximumPages);
    this.packed = new PackedOperands(this.allocator, (maximumPages * 65536) / 4);
    this.library = library;
    this.threads = threads;
    this.pool = threads > 1 ? startThreads(() => new ThreadPool(threads, memory, library, createWorker)) : null;
    this.exports = new WebAssembly.Instance(library.module, { env: { memory } }).exports;
    const scratch = this.allocator.allocate(2 ** 20);
    warm(this.exports, library, scratch);
    this.allocator.free(scratch);
  }

  private get memoryBuffer(): ArrayBuffer {
    return this.allocator.memory.buffer;
  }

  allocate(dtype: DType, size: number): Buffer {
    const bytes = size * bytesPerElement(dtype);
    const address = this.room(bytes);
    this.bytes += bytes;
    this.buffers++;
    this.peak = Math.max(this.peak, this.bytes + this.packed.bytes);
    return { dtype, size, bytes, address } as WasmBuffer;
  }

  /** Memory; packed operands and the last run's temporaries give way where there is none. */
  private room(bytes: number): number {
    try {
      return this.allocator.allocate(bytes);
    } catch {
      this.packed.clear();
      this.dropArena();
      return this.allocator.allocate(bytes);
    }
  }

  private dropArena(): void {
    if (this.arena > 0) this.allocator.free(this.arena);
    this.arena = this.arenaBytes = 0;
  }

  free(buffer: Buffer): void {
    this.packed.forget(buffer);
    this.allocator.free(this.addressOf(buffer));
    (buffer as WasmBuffer).address = 0;
    this.bytes -= buffer.bytes;
    this.buffers--;
  }

  private addressOf(buffer: Buffer): number {
    const { address } = buffer as WasmBuffer;
    if (address > 0) return address;
    throw new VlmError("DisposedError", "WASM_BUFFER_FREED", {
      what: `wasm: the ${buffer.dtype} buffer of ${buffer.size} elements has been freed`,
      hint: "keep the tensor alive while it is in use",
    });
  }

  write(buffer: Buffer, data: HostData): void {
    this.packed.forget(buffer);
    const address = this.addressOf(buffer);
    const { dtype, size } = buffer;
    if (data.length !== size) {
      throw new VlmError("ArgumentError", "WASM_WRITE_SIZE", {
        what: `wasm: ${data.length} elements are written to a buffer of ${size}`,
        hint: "pass exactly one value for each element",
      });
    }
    if (dtype === "f16" || dtype === "bf16") {
      const bits = data instanceof Uint16Array ? data : floatsToBits(data as Float32Array, dtype);
      new Uint16Array(this.memoryBuffer, address, size).set(bits);
    } else this.view(dtype, address, size).set(data);
  }

  /** The elements in place; a bool or u8 is a byte. */
  private view(dtype: DType, address: number, size: number): HostArray {
    const buffer = this.memoryBuffer;
    if (dtype === "f32") return new Float32Array(buffer, address, size);
    if (dtype === "i32") return new Int32Array(buffer, address, size);
    if (dtype === "u32") return new Uint32Array(buffer, address, size);
    return new Uint8Array(buffer, address, size);
  }

  async read(buffer: Buffer): Promise<HostArray> {
    const address = this.addressOf(buffer);
    const { dtype, size } = buffer;
    if (dtype === "f16" || dtype === "bf16") {
      return bitsToFloats(new Uint16Array(this.memoryBuffer, address, size), dtype);
    }
    const out = unclearedArray(dtype, size);
    out.set(this.view(dtype, address, size));
    return out;
  }

  async prepare(schedule: Schedule): Promise<Executable> {
    const block = this.room(blockLayout(schedule).total);
    try {
      const clock = debugLevel() >= 2 ? new Clock(schedule) : null;
      const plan = renderPlan(schedule, this.library, this.threads, block, clock !== null);
      const module = await WebAssembly.compile(plan.bytes);
      const env = { memory: this.allocator.memory, ...this.exports, ...clock?.imports };
      const run = new WebAssembly.Instance(module, { env }).exports.run as WasmExecutable["run"];
      const id = ++this.plans;
      const mail = this.pool?.install(id, module) ?? 0;
      const dispose = (): void => {
        this.pool?.forget(id);
        this.allocator.free(block);
      };
      return { schedule, id, mail, plan, block, run, clock, dispose } as WasmExecutable;
    } catch (error) {
      this.allocator.free(block);
      throw error;
    }
  }

  async run(executable: Executable, inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<void> {
    const { schedule, id, mail, plan, block, run, clock } = executable as WasmExecutable;
    const { memory, scratch, counters, packed, work } = plan;
    const arena = this.reserve(memory.bytes + scratch);
    const count = schedule.buffers.length;
    const view = new Uint32Array(this.memoryBuffer, block, count + 1);
    schedule.buffers.forEach(({ role, position }, at) => {
      view[at] =
        role === "temporary"
          ? arena + memory.offsets[at]!
          : this.addressOf((role === "input" ? inputs : outputs)[position]!);
    });
    view[count] = arena + memory.bytes;
    // Places are given out before memory is looked at: it may grow.
    const places = packed.map(({ position, layout, bytes }) => this.packed.place(inputs[position]!, layout, bytes));
    new Uint8Array(this.memoryBuffer, block + counters.offset, counters.bytes).fill(0);
    packed.forEach(({ kernel }, at) => {
      const { address, ready } = places[at]!;
      new Uint32Array(this.memoryBuffer, block + packedWords(counters.offset, kernel), 2).set([address, Number(ready)]);
    });
    const { pool } = this;
    clock?.start();
    try {
      if (pool?.has(mail) && work > (pool.resting ? WORTH_WAKING : WORTH_SHARING)) pool.run(id, run);
      else run(0, 1);
    } catch (error) {
      // What was being packed may be there in part.
      this.packed.clear();
      throw error;
    }
    for (const output of outputs) this.packed.forget(output);
    clock?.report();
  }

  /** The address of at least `bytes` bytes for the plan that runs next. */
  private reserve(bytes: number): number {
    if (bytes > this.arenaBytes) {
      this.dropArena();
      this.arena = this.room(bytes);
      this.arenaBytes = bytes;
    }
    return this.arena;
  }

  memory(): { bytes: number; buffers: number; peak: number } {
    return { bytes: this.bytes + this.packed.bytes, buffers: this.buffers, peak: this.peak };
  }

  async dispose(): Promise<void> {
    await this.pool?.dispose();
  }
}
