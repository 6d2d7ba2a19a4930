import type { Attributes, TensorSpec } from "../../op.ts";

/** What a hand-written WebGPU kernel is told about its arguments and the adapter. */
export type WebGpuKernelContext = {
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  attributes: Attributes;
  limits: { maxWorkgroupStorage: number; maxWorkgroupInvocations: number };
  features: { f16: boolean; subgroups: boolean };
};

/** One dispatch. Bindings are named in the WGSL by the declarations that the context's `bind` writes. */
export type WebGpuPass = {
  /** Whole shader; declares storage bindings 0 … n − 1 of group 0 in the order of `bindings`. */
  wgsl: string;
  bindings: readonly ({ input: number } | { output: number } | { scratch: number })[];
  workgroups: readonly [number, number, number];
};

export type WebGpuKernel = (context: WebGpuKernelContext) => {
  passes: readonly WebGpuPass[];
  /** Scratch buffers in 4-byte words. */
  scratch?: readonly number[];
};
