import type { Tensor } from "@vlm/core";
import { constant, type Initializer, initialKey, torchUniform } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";
import type { LoRA } from "./lora.ts";

/** Options of `Linear`. */
export type LinearOptions = {
  /** Adds a learned vector. Default true. */
  bias?: boolean;
  /** Start of the weight. Default uniform ±1/√inputs, as in PyTorch. */
  init?: Initializer;
  /** Start of the bias. Default zeros. */
  biasInit?: Initializer;
};

/** y = x·Wᵀ + b: [… I] → [… O]. The weight is [O I], as checkpoints store it. */
export class Linear extends Module {
  readonly weight: Parameter; // [O I]
  readonly bias: Parameter | null; // [O]
  /** A low-rank addition to the weight, see `addLoRA`. */
  adapter: LoRA | null = null;

  constructor(inputs: number, outputs: number, options: LinearOptions = {}) {
    super();
    const { bias = true, init = torchUniform(), biasInit = constant(0) } = options;
    this.weight = new Parameter(init([outputs, inputs], initialKey()));
    this.bias = bias ? new Parameter(biasInit([outputs], initialKey())) : null;
  }

  /** [… I] → [… O]. */
  forward(x: Tensor): Tensor {
    let y = x.matmul(this.weight.transpose()); // [… O]
    if (this.bias) y = y.add(this.bias);
    return this.adapter ? y.add(x.pipe(this.adapter)) : y;
  }
}
