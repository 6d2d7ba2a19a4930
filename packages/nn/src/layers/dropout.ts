import { currentContext, drawKey, random, type Tensor, VlmError } from "@vlm/core";
import { Module } from "../module/module.ts";

/** 1 with probability 1 − `rate`, else 0, from the key of the context. */
export function keepMask(layer: string, rate: number, shape: readonly number[]): Tensor {
  const draw = drawKey();
  if (!draw) {
    throw new VlmError("ArgumentError", "KEY_MISSING", {
      what: `${layer}: training needs a random key, and the context has none`,
      where: currentContext().path.join(".") || undefined,
      hint: "wrap the loss: context({ training: true, key: random.key(0) }, () => loss)",
    });
  }
  return random.bernoulli(random.fold(draw.key, draw.draw), shape, 1 - rate);
}

/** Throws `ArgumentError RATE_RANGE` unless a rate is in [0, 1). */
export function checkRate(layer: string, rate: number): number {
  if (rate >= 0 && rate < 1) return rate;
  throw new VlmError("ArgumentError", "RATE_RANGE", {
    what: `${layer}: rate ${rate}`,
    hint: "a rate is at least 0 and less than 1",
  });
}

/**
 * In training, sets elements to 0 with probability `rate` and divides the others by 1 − rate; otherwise the identity.
 * Srivastava et al. 2014. Any shape.
 */
export class Dropout extends Module {
  readonly rate: number;

  constructor(rate: number) {
    super();
    this.rate = checkRate("Dropout", rate);
  }

  /** The same shape; the identity outside of training. */
  forward(x: Tensor): Tensor {
    if (this.rate === 0 || !currentContext().training) return x;
    return keepMask("Dropout", this.rate, x.shape).where(x.mul(1 / (1 - this.rate)), 0);
  }
}
