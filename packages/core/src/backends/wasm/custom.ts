import type { Attributes, TensorSpec } from "../../op.ts";

/** What a hand-written WebAssembly kernel is told about its arguments. */
export type WasmKernelContext = {
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  attributes: Attributes;
};

/**
 * Emits the kernel's body into a plan module through the backend's code builder.
 * The builder type lives with the WebAssembly assembler; see `backends/wasm`.
 */
export type WasmKernel = (context: WasmKernelContext, emit: unknown) => void;
