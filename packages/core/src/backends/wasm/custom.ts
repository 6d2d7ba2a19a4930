import type { CustomKernel } from "../../ir/kernel.ts";
import type { Attributes, TensorSpec } from "../../op.ts";
import type { Code } from "./assembler.ts";
import { THREAD, THREADS } from "./loop-kernel.ts";
import type { PlanContext } from "./plan.ts";

/** What a hand-written WebAssembly kernel is told about its arguments. */
export type WasmKernelContext = {
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  attributes: Attributes;
};

/** Where a hand-written kernel writes its code. */
export type WasmKernelEmitter = {
  readonly code: Code;
  /** Locals: this thread's number, and how many there are. */
  readonly thread: number;
  readonly threads: number;
  /** Push addresses. */
  pushInput(at: number): void;
  pushOutput(at: number): void;
  pushScratch(): void;
  /** All threads wait for each other; in uniform control flow only. */
  barrier(): void;
};

/** Writes the kernel's body into a plan's module. Arguments are contiguous; every thread runs the body. */
export type WasmKernel = {
  emit(context: WasmKernelContext, emitter: WasmKernelEmitter): void;
  /** Bytes of scratch memory. Default none. */
  scratch?(context: WasmKernelContext, threads: number): number;
};

export function renderCustom(kernel: CustomKernel, plan: PlanContext): void {
  const { code } = plan;
  kernel.op.wasm!.emit(kernel, {
    code,
    thread: THREAD,
    threads: THREADS,
    pushInput: (at) => plan.pushBase(kernel.inputs[at]!.buffer),
    pushOutput: (at) => plan.pushBase(kernel.outputs[at]!.buffer),
    pushScratch: plan.pushScratch,
    barrier: plan.barrier,
  });
}

export const customScratch = (kernel: CustomKernel, threads: number): number =>
  kernel.op.wasm!.scratch?.(kernel, threads) ?? 0;
