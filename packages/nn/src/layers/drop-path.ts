import { currentContext, type Tensor } from "@vlm/core";
import { Module } from "../module/module.ts";
import { checkRate, keepMask } from "./dropout.ts";

/**
 * Stochastic depth, Huang et al. 2016, arXiv:1603.09382: in training, drops whole examples (axis 0) of a residual branch
 * with probability `rate` and divides the others by 1 − rate. `x.add(x.pipe(branch).pipe(dropPath))`: [B …] → [B …].
 */
export class DropPath extends Module {
  readonly rate: number;

  constructor(rate: number) {
    super();
    this.rate = checkRate("DropPath", rate);
  }

  /** [B …] → [B …]; the identity outside of training. */
  forward(x: Tensor): Tensor {
    if (this.rate === 0 || !currentContext().training) return x;
    const shape = x.shape.map((n, axis) => (axis === 0 ? n : 1)); // [B 1 …]
    return keepMask("DropPath", this.rate, shape).where(x.mul(1 / (1 - this.rate)), 0);
  }
}
