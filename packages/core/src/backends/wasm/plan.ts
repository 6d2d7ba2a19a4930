/** Renders a schedule into one WebAssembly module: a function for each kernel, and `run`, which calls them in order. */
import { bytesPerElement } from "../../dtype.ts";
import type { BufferSpec, Kernel, Schedule } from "../../ir/kernel.ts";
import { buffersOf, type MemoryPlan, planMemory } from "../../schedule/memory.ts";
import { type Code, ModuleBuilder } from "./assembler.ts";
import { renderContract } from "./contract-kernel.ts";
import { customScratch, renderCustom } from "./custom.ts";
import type { Library } from "./library.ts";
import { KERNEL_PARAMETERS, renderLoop, THREAD, THREADS } from "./loop-kernel.ts";
import { op } from "./opcodes.ts";
import type { PackedOperand } from "./packed.ts";

/** What kernel renderers know about the plan. */
export type PlanContext = {
  code: Code;
  specs: readonly BufferSpec[];
  library: Library;
  /** Greatest number of threads. */
  threads: number;
  /** Pushes the address of a buffer. */
  pushBase(buffer: number): void;
  /** Pushes the address of the plan's scratch memory. */
  pushScratch(): void;
  /** The index of an imported function of the library. */
  call(name: string): number;
  /** Defines another function of the module; it gets its own builder and buffer addresses. Gives its index. */
  define(parameters: readonly number[], write: (code: Code, pushBase: (buffer: number) => void) => void): number;
  /** Waits until every thread is here. Leaves nothing; may be emitted in uniform control flow only. */
  barrier(): void;
  /** The address of a zeroed word of the plan that threads count with. */
  counter(): number;
  /** Asks for an input to be kept packed; gives the address of two words: where it is or goes (0: scratch), whether it is there. */
  keepPacked(buffer: number, layout: string, bytes: number): number;
};

export type RenderedPlan = {
  bytes: Uint8Array<ArrayBuffer>;
  memory: MemoryPlan;
  /** Bytes of scratch memory, after the temporaries. */
  scratch: number;
  /** Bytes of the argument block: addresses by buffer number, the scratch address, the counters. */
  blockBytes: number;
  /** The counters' place in the block. */
  counters: { offset: number; bytes: number };
  /** Operands that the caller may keep packed, in the order of kernels. */
  packed: PackedOperand[];
  /** Rough number of element operations: small plans are not worth waking threads for. */
  work: number;
};

/** Byte size of the argument block; after the addresses a cache line for each kernel: its counter, its packed operand. */
export function blockLayout(schedule: Schedule): { offset: number; bytes: number; total: number } {
  const offset = Math.ceil(((schedule.buffers.length + 1) * 4) / 64) * 64;
  const bytes = schedule.kernels.length * 64;
  return { offset, bytes, total: offset + bytes };
}

/** The place in the block of the two words of a kernel's packed operand. */
export const packedWords = (counters: number, kernel: number): number => counters + kernel * 64 + 32;

/**
 * `block` is the address of the argument block, which the caller fills before each run. A timed plan calls `mark` with
 * each kernel's number, after all threads have done it.
 */
export function renderPlan(
  schedule: Schedule,
  library: Library,
  threads: number,
  block: number,
  timed = false,
): RenderedPlan {
  const module = new ModuleBuilder(library.shared);
  const imported = new Map(
    Object.entries(library.signatures).map(([name, { parameters, results }]) => [
      name,
      module.import(name, parameters, results),
    ]),
  );
  const { buffers, kernels } = schedule;
  const layout = blockLayout(schedule);
  const scratch: number[] = [];
  const packed: PackedOperand[] = [];
  const functions = kernels.map((kernel, number) =>
    module.define(KERNEL_PARAMETERS, [], (code) => {
      const { reads, writes } = buffersOf(kernel);
      const used = [...new Set([...reads, ...writes, buffers.length])];
      // Addresses are read from the argument block once, into locals.
      const bind = (to: Code): ((buffer: number) => void) => {
        const bases = new Map(
          used.map((buffer) => [
            buffer,
            to
              .i32(0)
              .memory(op.load, block + buffer * 4)
              .keep(),
          ]),
        );
        return (buffer) => to.get(bases.get(buffer)!);
      };
      const pushBase = bind(code);
      const context: PlanContext = {
        code,
        specs: buffers,
        library,
        threads,
        pushBase,
        pushScratch: () => pushBase(buffers.length),
        call: (name) => imported.get(name)!,
        define: (parameters, write) => module.define(parameters, [], (inner) => write(inner, bind(inner))),
        barrier() {
          if (library.shared) code.get(THREAD, THREADS).call(imported.get("barrier")!);
        },
        counter: () => block + layout.offset + number * 64,
        keepPacked(buffer, order, bytes) {
          packed.push({ kernel: number, position: buffers[buffer]!.position, layout: order, bytes });
          return block + packedWords(layout.offset, number);
        },
      };
      scratch[number] = renderKernel(kernel, context);
    }),
  );
  const memory = planMemory(schedule, 64);
  const waits = barriers(schedule, memory, scratch);
  module.define(
    KERNEL_PARAMETERS,
    [],
    (code) => {
      functions.forEach((index, at) => {
        if (waits[at] && library.shared) code.get(THREAD, THREADS).call(imported.get("barrier")!);
        code.get(THREAD, THREADS).call(index);
        if (!timed) return;
        if (library.shared) code.get(THREAD, THREADS).call(imported.get("barrier")!);
        code.get(THREAD).op(op.eqz);
        code.if(() => code.i32(at).call(imported.get("mark")!));
      });
      if (library.shared) code.get(THREAD, THREADS).call(imported.get("barrier")!);
    },
    "run",
  );
  return {
    bytes: module.bytes(),
    memory,
    scratch: Math.max(0, ...scratch),
    blockBytes: layout.total,
    counters: layout,
    packed,
    work: kernels.reduce((sum, kernel) => sum + workOf(kernel), 0),
  };
}

/** Renders one kernel; gives the bytes of scratch memory it needs. */
function renderKernel(kernel: Kernel, context: PlanContext): number {
  if (kernel.kind === "contract") {
    return renderContract(kernel, context);
  }
  if (kernel.kind === "custom") {
    renderCustom(kernel, context);
    return customScratch(kernel, context.threads);
  }
  return renderLoop(kernel, context);
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

function workOf(kernel: Kernel): number {
  if (kernel.kind === "loop") return product(kernel.outer) * product(kernel.inner) * kernel.stages.length;
  if (kernel.kind === "contract") return (kernel.batch * kernel.rows * kernel.columns * (kernel.sum + 8)) / 4;
  return [...kernel.inputs, ...kernel.outputs].reduce((sum, { shape }) => sum + product(shape), 0);
}

/** Before which kernels threads must wait for each other: where memory written since the last wait is used, or read is written. */
function barriers(schedule: Schedule, memory: MemoryPlan, scratch: readonly number[]): boolean[] {
  const { buffers, kernels } = schedule;
  type Span = { space: string; low: number; high: number };
  const span = (buffer: number): Span => {
    const { role, size, dtype } = buffers[buffer]!;
    // Inputs and outputs may be the same memory, so they all count as one place.
    if (role !== "temporary") return { space: "caller", low: 0, high: 1 };
    const low = memory.offsets[buffer]!;
    return { space: "arena", low, high: low + Math.max(1, size * bytesPerElement(dtype)) };
  };
  const meets = (a: Span, b: Span): boolean => a.space === b.space && a.low < b.high && b.low < a.high;
  let written: Span[] = [];
  let read: Span[] = [];
  return kernels.map((kernel, at) => {
    const { reads, writes } = buffersOf(kernel);
    const [from, to] = [reads.map(span), writes.map(span)];
    const waits =
      kernel.kind === "custom" ||
      scratch[at]! > 0 ||
      [...from, ...to].some((a) => written.some((b) => meets(a, b))) ||
      to.some((a) => read.some((b) => meets(a, b)));
    if (waits) written = read = [];
    written = [...written, ...to];
    read = [...read, ...from];
    return waits;
  });
}
