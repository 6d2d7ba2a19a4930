/** The wasm device: schedules rendered to WebAssembly SIMD, one module for each plan. */
import {
  bfloatToNumber,
  bytesPerElement,
  type DType,
  type HostArray,
  halfToNumber,
  hostArray,
  numberToBfloat,
  numberToHalf,
} from "../../dtype.ts";
import { VlmError } from "../../errors.ts";
import type { Schedule } from "../../ir/kernel.ts";
import type { Backend, Buffer, Executable } from "../backend.ts";
import { Allocator } from "./allocator.ts";
import { createLibrary, hasRelaxedSimd, tunedTile, warm } from "./library.ts";
import { blockLayout, type RenderedPlan, renderPlan } from "./plan.ts";

export { enableRelaxedSimd, hasRelaxedSimd } from "./library.ts";

export type WasmOptions = {
  /** Number of threads. Default: `VLM_THREADS`, else the processors this process may use. */
  threads?: number;
  /** Fused multiply-add; default: where the engine has it. */
  relaxed?: boolean;
  /** Greatest memory in bytes. Default 4 GiB. */
  maximumBytes?: number;
};

type WasmBuffer = Buffer & { address: number };

type WasmExecutable = Executable & {
  plan: RenderedPlan;
  block: number;
  run: (thread: number, threads: number) => void;
};

/** Low memory: control words. */
const RESERVED = 65536;

/** Opens the wasm device. Throws `BackendUnavailableError` where the page's policy or the engine forbids it. */
export async function createWasmBackend(options: WasmOptions = {}): Promise<Backend> {
  const tile = await tunedTile(options.relaxed ?? hasRelaxedSimd());
  const library = await createLibrary(tile, false);
  const maximumPages = Math.min(65536, Math.floor((options.maximumBytes ?? 2 ** 32) / 65536));
  const memory = new WebAssembly.Memory({ initial: 32, maximum: maximumPages });
  const instance = new WebAssembly.Instance(library.module, { env: { memory } });
  return new WasmBackend(memory, maximumPages, library, instance.exports);
}

class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly maxKernelBuffers = 64;
  private readonly allocator: Allocator;
  private readonly library: Awaited<ReturnType<typeof createLibrary>>;
  private readonly exports: WebAssembly.Exports;
  private readonly threads = 1;
  private arena = 0;
  private arenaBytes = 0;
  private bytes = 0;
  private buffers = 0;
  private peak = 0;

  constructor(
    memory: WebAssembly.Memory,
    maximumPages: number,
    library: Awaited<ReturnType<typeof createLibrary>>,
    exports: WebAssembly.Exports,
  ) {
    this.allocator = new Allocator(memory, RESERVED, maximumPages);
    this.library = library;
    this.exports = exports;
    const scratch = this.allocator.allocate(2 ** 20);
    warm(exports, library, scratch);
    this.allocator.free(scratch);
  }

  private get memoryBuffer(): ArrayBuffer {
    return this.allocator.memory.buffer;
  }

  allocate(dtype: DType, size: number): Buffer {
    const bytes = size * bytesPerElement(dtype);
    const address = this.allocator.allocate(bytes);
    this.bytes += bytes;
    this.buffers++;
    this.peak = Math.max(this.peak, this.bytes);
    return { dtype, size, bytes, address } as WasmBuffer;
  }

  free(buffer: Buffer): void {
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

  write(buffer: Buffer, data: HostArray): void {
    const address = this.addressOf(buffer);
    const { dtype, size } = buffer;
    if (data.length !== size) {
      throw new VlmError("ArgumentError", "WASM_WRITE_SIZE", {
        what: `wasm: ${data.length} elements are written to a buffer of ${size}`,
        hint: "pass exactly one value for each element",
      });
    }
    if (dtype === "f16" || dtype === "bf16") {
      const round = dtype === "f16" ? numberToHalf : numberToBfloat;
      const target = new Uint16Array(this.memoryBuffer, address, size);
      for (let at = 0; at < size; at++) target[at] = round(data[at]!);
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
    const out = hostArray(dtype, size);
    if (dtype === "f16" || dtype === "bf16") {
      const widen = dtype === "f16" ? halfToNumber : bfloatToNumber;
      const source = new Uint16Array(this.memoryBuffer, address, size);
      for (let at = 0; at < size; at++) out[at] = widen(source[at]!);
    } else out.set(this.view(dtype, address, size));
    return out;
  }

  async prepare(schedule: Schedule): Promise<Executable> {
    const block = this.allocator.allocate(blockLayout(schedule).total);
    try {
      const plan = renderPlan(schedule, this.library, this.threads, block);
      const module = await WebAssembly.compile(plan.bytes);
      const env = { memory: this.allocator.memory, ...this.exports };
      const instance = new WebAssembly.Instance(module, { env });
      const run = instance.exports.run as WasmExecutable["run"];
      const dispose = (): void => this.allocator.free(block);
      return { schedule, plan, block, run, dispose } as WasmExecutable;
    } catch (error) {
      this.allocator.free(block);
      throw error;
    }
  }

  async run(executable: Executable, inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<void> {
    const { schedule, plan, block, run } = executable as WasmExecutable;
    const { memory, scratch, counters } = plan;
    const arena = this.reserve(memory.bytes + scratch);
    const count = schedule.buffers.length;
    const view = new Uint32Array(this.memoryBuffer, block, (counters.offset + counters.bytes) / 4);
    schedule.buffers.forEach(({ role, position }, at) => {
      view[at] =
        role === "temporary"
          ? arena + memory.offsets[at]!
          : this.addressOf((role === "input" ? inputs : outputs)[position]!);
    });
    view[count] = arena + memory.bytes;
    view.fill(0, counters.offset / 4);
    run(0, 1);
  }

  /** The address of at least `bytes` bytes for the plan that runs next. */
  private reserve(bytes: number): number {
    if (bytes > this.arenaBytes) {
      if (this.arena > 0) this.allocator.free(this.arena);
      this.arena = this.arenaBytes = 0;
      this.arena = this.allocator.allocate(bytes);
      this.arenaBytes = bytes;
    }
    return this.arena;
  }

  memory(): { bytes: number; buffers: number; peak: number } {
    return { bytes: this.bytes, buffers: this.buffers, peak: this.peak };
  }

  async dispose(): Promise<void> {}
}
