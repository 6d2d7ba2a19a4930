import type { Shape, Tensor } from "@vlm/core";
import type { Module } from "../module/module.ts";
import { Optimizer, type OptimizerOptions, positive, type Settings, type Slots, type Updated } from "./optimizer.ts";

/** Options of `SGD`. */
export type SGDOptions = OptimizerOptions & {
  /** Share of the last direction in the next. Default 0. */
  momentum?: number;
  /** Looks ahead along the direction. */
  nesterov?: boolean;
};

/**
 * Stochastic gradient descent as in PyTorch: g ← g + λp; v ← μv + g; p ← p − lr·v, or with Nesterov's momentum
 * p ← p − lr·(g + μv) (Sutskever et al. 2013).
 */
export class SGD extends Optimizer {
  private readonly momentum: number;
  private readonly nesterov: boolean;

  constructor(model: Module, options: SGDOptions) {
    super(model, options);
    this.momentum = options.momentum ?? 0;
    this.nesterov = options.nesterov ?? false;
    positive(this, "momentum", this.momentum, { zero: true, below: 1 });
  }

  protected override slots(shape: Shape): Readonly<Record<string, Shape>> {
    return this.momentum === 0 ? {} : { velocity: shape };
  }

  protected override update(p: Tensor, gradient: Tensor, slots: Slots, { lr, weightDecay }: Settings): Updated {
    const g = weightDecay === 0 ? gradient : gradient.add(p.mul(weightDecay));
    if (!slots.velocity) return { value: p.sub(g.mul(lr)), slots: {} };
    const velocity = slots.velocity.mul(this.momentum).add(g);
    const direction = this.nesterov ? g.add(velocity.mul(this.momentum)) : velocity;
    return { value: p.sub(direction.mul(lr)), slots: { velocity } };
  }
}
