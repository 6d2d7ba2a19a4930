import type { Shape, Tensor } from "@vlm/core";
import type { Module } from "../module/module.ts";
import { Optimizer, type OptimizerOptions, positive, type Settings, type Slots, type Updated } from "./optimizer.ts";

/** Options of `Adafactor`. */
export type AdafactorOptions = OptimizerOptions & {
  /** β₂ at step t is 1 − t^decay. Default −0.8. */
  decay?: number;
  /** Least root mean square that the parameter counts with. Default 1e-3. */
  scaleEps?: number;
  /** Largest root mean square of an update. Default 1. */
  threshold?: number;
};

/** Least second moment: the f32 machine epsilon, as in PyTorch. */
const EPS = 2 ** -23;

/**
 * Shazeer & Stern 2018, arXiv:1804.04235, algorithm 4, without momentum and as in PyTorch: second moments of matrices
 * are kept as row and column means, rates are relative to the parameter's size, ρ = min(lr, 1/√t), updates are clipped.
 * Memory of a matrix [n m] is n + m instead of 2·n·m.
 */
export class Adafactor extends Optimizer {
  private readonly decay: number;
  private readonly scaleEps: number;
  private readonly threshold: number;

  constructor(model: Module, options: AdafactorOptions) {
    super(model, options);
    this.decay = options.decay ?? -0.8;
    this.scaleEps = options.scaleEps ?? 1e-3;
    this.threshold = options.threshold ?? 1;
    positive(this, "-decay", -this.decay);
    positive(this, "scaleEps", this.scaleEps);
    positive(this, "threshold", this.threshold);
  }

  protected override slots(shape: Shape): Readonly<Record<string, Shape>> {
    if (shape.length < 2) return { second: shape };
    const [rows, columns] = [shape[shape.length - 2]!, shape[shape.length - 1]!];
    const batch = shape.slice(0, -2);
    return { rows: [...batch, rows, 1], columns: [...batch, 1, columns] };
  }

  protected override update(p: Tensor, g: Tensor, slots: Slots, { lr, weightDecay, step }: Settings): Updated {
    const fresh = step.log().mul(this.decay).exp(); // 1 − β₂
    const blend = (old: Tensor, now: Tensor): Tensor => old.add(now.sub(old).mul(fresh));
    const next: Record<string, Tensor> = {};
    let estimate: Tensor;
    const squares = g.square();
    if (slots.rows && slots.columns) {
      next.rows = blend(slots.rows, squares.mean(-1, { keepDims: true }));
      next.columns = blend(slots.columns, squares.mean(-2, { keepDims: true }));
      const level = next.rows.mean(-2, { keepDims: true }).maximum(EPS);
      estimate = next.rows.mul(next.columns).div(level);
    } else {
      next.second = blend(slots.second!, squares);
      estimate = next.second;
    }
    const update = g.mul(
      estimate
        .maximum(EPS * EPS)
        .sqrt()
        .reciprocal(),
    );
    const rho = step.sqrt().reciprocal().minimum(lr);
    const size = p.square().mean().sqrt().maximum(this.scaleEps);
    const limit = update.square().mean().sqrt().div(this.threshold).maximum(1);
    const decayed = weightDecay === 0 ? p : p.mul(lr.mul(-weightDecay).add(1));
    return { value: decayed.sub(update.mul(size.mul(rho).div(limit))), slots: next };
  }
}
