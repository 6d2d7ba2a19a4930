import { rmsNorm, type Tensor } from "@vlm/core";
import { constant, initialKey } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";

/** x / √(mean(x²) + ε) · gain over the last axis, Zhang & Sennrich 2019, eq. 4: [… D] → [… D]. Default ε 1e-6. */
export class RMSNorm extends Module {
  readonly weight: Parameter | null; // [D]
  readonly eps: number;

  constructor(width: number, options: { eps?: number; affine?: boolean } = {}) {
    super();
    const { eps = 1e-6, affine = true } = options;
    this.eps = eps;
    this.weight = affine ? new Parameter(constant(1)([width], initialKey())) : null;
  }

  /** [… D] → [… D]. */
  forward(x: Tensor): Tensor {
    return rmsNorm(x, { weight: this.weight, eps: this.eps });
  }
}
