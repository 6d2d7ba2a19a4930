import { Cell, type Gradients, type Tensor, zeros } from "@vlm/core";
import type { Module } from "../module/module.ts";

/**
 * Sums gradients over several small batches, for the effect of one large one. The sums are cells: `add` may be in one
 * compiled function and `take` in another.
 */
export class GradientAccumulator {
  private readonly sums: Map<Cell, Cell>;

  constructor(model: Module) {
    const cells = model.trainable();
    this.sums = new Map(cells.map((cell) => [cell, new Cell(zeros(cell.shape), { owner: "gradients" })]));
  }

  /** Adds gradients, each times `weight`: 1/n for the mean over n batches. Computed at the next `commit`. */
  add(gradients: Gradients, weight = 1): void {
    for (const [cell, gradient] of gradients) {
      const sum = this.sums.get(cell);
      sum?.assign(sum.value.add(gradient.cast("f32").mul(weight)));
    }
  }

  /** The sums, and starts again from 0. */
  take(): Gradients {
    const taken = new Map<Cell, Tensor>();
    for (const [cell, sum] of this.sums) {
      taken.set(cell, sum.value);
      sum.assign(zeros(cell.shape));
    }
    return taken;
  }
}
