/**
 * The few operations that the measured programs are written in, once, for every library that is compared.
 * T is the library's tensor; ours runs its own models (`@vlm/vit`, `@vlm/clip`) where there are any.
 */
export type Ops<T> = {
  shape(x: T): readonly number[];
  add(a: T, b: T): T;
  mul(a: T, b: T): T;
  scale(x: T, factor: number): T;
  exp(x: T): T;
  /** Exact GELU, x·Φ(x). */
  gelu(x: T): T;
  /** x·σ(1.702·x), as OpenAI's CLIP has it. */
  quickGelu(x: T): T;
  /** a·b, or a·bᵀ; batched over the axes before the last two. */
  matmul(a: T, b: T, options?: { transposed?: boolean }): T;
  /** x·wᵀ + b with w of shape [out in]. */
  linear(x: T, w: T, b: T | null): T;
  layerNorm(x: T, weight: T, bias: T, eps: number): T;
  softmax(x: T): T;
  logSoftmax(x: T): T;
  /** softmax(q·kᵀ/√d)·v per head of [B H N d], by whatever the library has for it. */
  attention(q: T, k: T, v: T, causal: boolean): T;
  /** NCHW, weight OIHW, "same" padding for odd kernels. */
  conv2d(x: T, w: T, b: T, stride: number): T;
  /** Rows of a table. */
  gather(table: T, ids: T): T;
  reshape(x: T, shape: readonly number[]): T;
  permute(x: T, order: readonly number[]): T;
  slice(x: T, axis: number, start: number, end: number): T;
  concat(parts: readonly T[], axis: number): T;
  expand(x: T, shape: readonly number[]): T;
  /** Sum over the last axis, which stays with size 1. */
  sumLast(x: T): T;
  rsqrt(x: T): T;
  /** Sum of everything, as a scalar. */
  sumAll(x: T): T;
  eye(n: number): T;
};

/** What is measured: `forward` gives a tensor; with "gradient" or "train" that tensor is a scalar loss or gets summed. */
export type Program = {
  specs: readonly import("./data.ts").Spec[];
  build<T>(ops: Ops<T>, get: (name: string) => T): T;
};

/**
 * forward: the output. gradient: of Σ(output · a fixed tensor) by all float tensors of the program.
 * train: one step of AdamW on the weights, the loss is the result.
 */
export type Mode = "forward" | "gradient" | "train";

export const ADAMW = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 } as const;
