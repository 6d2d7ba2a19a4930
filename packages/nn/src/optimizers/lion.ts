import type { Shape, Tensor } from "@vlm/core";
import type { Module } from "../module/module.ts";
import { Optimizer, type OptimizerOptions, positive, type Settings, type Slots, type Updated } from "./optimizer.ts";

/** Options of `Lion`. */
export type LionOptions = OptimizerOptions & {
  /** Weights of the momentum in the direction, and in itself. Default [0.9, 0.99]. */
  betas?: readonly [number, number];
};

/**
 * Chen et al. 2023, arXiv:2302.06675, algorithm 2: p ← p − lr·(sign(β₁m + (1 − β₁)g) + λp); m ← β₂m + (1 − β₂)g.
 * Its rate is 3 to 10 times smaller than AdamW's, its decay as many times larger.
 */
export class Lion extends Optimizer {
  private readonly betas: readonly [number, number];

  constructor(model: Module, options: LionOptions) {
    super(model, options);
    this.betas = options.betas ?? [0.9, 0.99];
    positive(this, "betas[0]", this.betas[0], { zero: true, below: 1 });
    positive(this, "betas[1]", this.betas[1], { zero: true, below: 1 });
  }

  protected override slots(shape: Shape): Readonly<Record<string, Shape>> {
    return { momentum: shape };
  }

  protected override update(p: Tensor, g: Tensor, slots: Slots, { lr, weightDecay }: Settings): Updated {
    const [beta1, beta2] = this.betas;
    const m = slots.momentum!;
    const direction = m
      .mul(beta1)
      .add(g.mul(1 - beta1))
      .sign();
    const change = weightDecay === 0 ? direction : direction.add(p.mul(weightDecay));
    return { value: p.sub(change.mul(lr)), slots: { momentum: m.mul(beta2).add(g.mul(1 - beta2)) } };
  }
}
