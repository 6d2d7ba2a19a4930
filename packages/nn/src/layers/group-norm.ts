import { groupNorm, type Tensor } from "@vlm/core";
import { constant, initialKey } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";

/**
 * Layer norm over each of `groups` groups of channels and all positions, then gain and bias per channel, Wu & He 2018,
 * eq. 1: [B C …] → [B C …]. Default ε 1e-5.
 */
export class GroupNorm extends Module {
  readonly weight: Parameter; // [C]
  readonly bias: Parameter; // [C]
  readonly groups: number;
  readonly eps: number;

  constructor(groups: number, channels: number, options: { eps?: number } = {}) {
    super();
    this.groups = groups;
    this.eps = options.eps ?? 1e-5;
    this.weight = new Parameter(constant(1)([channels], initialKey()));
    this.bias = new Parameter(constant(0)([channels], initialKey()));
  }

  /** [B C …] → [B C …]. */
  forward(x: Tensor): Tensor {
    return groupNorm(x, this.groups, { weight: this.weight, bias: this.bias, eps: this.eps });
  }
}
