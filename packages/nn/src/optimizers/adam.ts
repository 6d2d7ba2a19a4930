import type { Shape, Tensor } from "@vlm/core";
import type { Module } from "../module/module.ts";
import { Optimizer, type OptimizerOptions, positive, type Settings, type Slots, type Updated } from "./optimizer.ts";

/** Options of `Adam` and `AdamW`. */
export type AdamOptions = OptimizerOptions & {
  /** Decay rates of the two moments. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  eps?: number;
};

/**
 * Kingma & Ba 2015, algorithm 1: m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
 * p ← p − lr·m̂ / (√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ). Weight decay is added to the gradient (L2).
 */
export class Adam extends Optimizer {
  protected readonly betas: readonly [number, number];
  protected readonly eps: number;
  /** Whether weight decay acts on the parameter instead of the gradient. */
  protected readonly decoupled: boolean = false;

  constructor(model: Module, options: AdamOptions) {
    super(model, options);
    this.betas = options.betas ?? [0.9, 0.999];
    this.eps = options.eps ?? 1e-8;
    positive(this, "betas[0]", this.betas[0], { zero: true, below: 1 });
    positive(this, "betas[1]", this.betas[1], { zero: true, below: 1 });
    positive(this, "eps", this.eps);
  }

  protected override slots(shape: Shape, _path: string): Readonly<Record<string, Shape>> {
    return { first: shape, second: shape };
  }

  protected override update(p: Tensor, gradient: Tensor, slots: Slots, { lr, weightDecay, step }: Settings): Updated {
    const [beta1, beta2] = this.betas;
    const g = this.decoupled || weightDecay === 0 ? gradient : gradient.add(p.mul(weightDecay));
    const decayed = this.decoupled && weightDecay !== 0 ? p.mul(lr.mul(-weightDecay).add(1)) : p;
    const first = slots.first!.mul(beta1).add(g.mul(1 - beta1));
    const second = slots.second!.mul(beta2).add(g.square().mul(1 - beta2));
    const root = second.sqrt().div(unbiased(beta2, step).sqrt()).add(this.eps);
    const rate = lr.div(unbiased(beta1, step));
    return { value: decayed.sub(first.mul(rate).div(root)), slots: { first, second } };
  }
}

/** 1 − βᵗ, exact also where βᵗ is close to 1. */
const unbiased = (beta: number, step: Tensor): Tensor =>
  beta === 0 ? step.mul(0).add(1) : step.mul(Math.log(beta)).expm1().neg();

/**
 * Adam with decoupled weight decay, Loshchilov & Hutter 2019, algorithm 2: p ← (1 − lr·λ)p before Adam's step.
 * Default weight decay 0.01.
 */
export class AdamW extends Adam {
  protected override readonly decoupled = true;

  constructor(model: Module, options: AdamOptions) {
    super(model, { weightDecay: 0.01, ...options });
  }
}
