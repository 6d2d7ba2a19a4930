import type { Attributes, StridedView, TensorSpec } from "../../op.ts";

/** An argument; `buffer` tells which arguments lie in the same one. */
export type WebGpuArgument = TensorSpec & {
  readonly buffer: number;
  /** Where its elements lie, for the arguments that the op's `readsView` accepted. */
  readonly view?: StridedView;
};

/** What a hand-written WebGPU kernel is told about its arguments and the adapter. */
export type WebGpuKernelContext = {
  inputs: readonly WebGpuArgument[];
  outputs: readonly WebGpuArgument[];
  attributes: Attributes;
  limits: WebGpuKernelLimits;
  /** A CPU pretends to be a GPU: compiling takes seconds, so loops should have bounds that it cannot unroll. */
  software: boolean;
};

export type WebGpuKernelLimits = {
  /** Bytes of workgroup memory. */
  workgroupStorage: number;
  /** Threads of one workgroup. */
  workgroupThreads: number;
  /** Bytes of one storage binding. */
  bindingBytes: number;
};

/** A storage binding: an argument, or a scratch buffer, which is written unless `read` says otherwise. */
export type WebGpuBinding = (
  | { input: number }
  | { output: number; read?: boolean }
  | { scratch: number; read?: boolean }
) & {
  /** Which range of a buffer that is longer than a binding may be; default 0. */
  part?: number;
};

/** One dispatch. The shader's entry point is `main`. */
export type WebGpuPass = {
  name?: string;
  /**
   * Whole shader; declares storage bindings 0 … n − 1 of group 0 in the order of `bindings`, inputs as `read`, outputs
   * and scratch as `read_write`; then the parameters, if there are any, as `var<uniform> P: array<vec4<i32>, …>`.
   */
  wgsl: string;
  bindings: readonly WebGpuBinding[];
  /** 32-bit words (floats as their bits), a multiple of 4. */
  params?: readonly number[];
  workgroups: readonly [number, number, number];
  /** Floating-point operations, for profiles and for how long it may take; default: as if only memory counted. */
  flops?: number;
};

/**
 * Hand-written kernels: f32, i32 and u32 arguments are arrays of their type; f16 and bf16 lie two, bool and u8 four in
 * each u32 word. Arguments are contiguous unless the op's `readsView` accepts other ones.
 */
export type WebGpuKernel = (context: WebGpuKernelContext) => {
  passes: readonly WebGpuPass[];
  /** Scratch buffers in 4-byte words. */
  scratch?: readonly number[];
};
