import { layerNorm, type Tensor } from "@vlm/core";
import { constant, initialKey } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";

/** Options of `LayerNorm`. */
export type LayerNormOptions = {
  /** ε under the root. Default 1e-5; papers differ (BERT 1e-12, MAE 1e-6). */
  eps?: number;
  /** Learns gain and bias. Default true. */
  affine?: boolean;
  /** Learns a bias beside the gain. Default true. */
  bias?: boolean;
};

/** (x − mean) / √(variance + ε) · gain + bias over the last axis, Ba et al. 2016: [… D] → [… D]. */
export class LayerNorm extends Module {
  readonly weight: Parameter | null; // [D]
  readonly bias: Parameter | null; // [D]
  readonly eps: number;

  constructor(width: number, options: LayerNormOptions = {}) {
    super();
    const { eps = 1e-5, affine = true, bias = true } = options;
    this.eps = eps;
    this.weight = affine ? new Parameter(constant(1)([width], initialKey())) : null;
    this.bias = affine && bias ? new Parameter(constant(0)([width], initialKey())) : null;
  }

  /** [… D] → [… D]. */
  forward(x: Tensor): Tensor {
    return layerNorm(x, { weight: this.weight, bias: this.bias, eps: this.eps });
  }
}
