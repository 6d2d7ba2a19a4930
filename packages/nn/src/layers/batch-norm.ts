import { currentContext, ones, stopGradient, type Tensor, VlmError, zeros } from "@vlm/core";
import { constant, initialKey } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter, StateBuffer } from "../module/parameter.ts";

/** Options of `BatchNorm`. */
export type BatchNormOptions = {
  /** ε under the root. Default 1e-5. */
  eps?: number;
  /** Share of the new statistics in the running ones, as in PyTorch. Default 0.1. */
  momentum?: number;
};

/**
 * (x − mean) / √(variance + ε) · gain + bias per channel, Ioffe & Szegedy 2015, algorithm 1: [B C …] → [B C …]. In
 * training, statistics are those of the batch, and running ones (variance unbiased) are updated; otherwise the running
 * ones are used. Throws `ShapeError BATCH_TOO_SMALL` when training has one value per channel.
 */
export class BatchNorm extends Module {
  readonly weight: Parameter; // [C]
  readonly bias: Parameter; // [C]
  readonly runningMean: StateBuffer; // [C]
  readonly runningVariance: StateBuffer; // [C]
  readonly eps: number;
  readonly momentum: number;

  constructor(channels: number, options: BatchNormOptions = {}) {
    super();
    this.eps = options.eps ?? 1e-5;
    this.momentum = options.momentum ?? 0.1;
    this.weight = new Parameter(constant(1)([channels], initialKey()));
    this.bias = new Parameter(constant(0)([channels], initialKey()));
    this.runningMean = new StateBuffer(zeros([channels]));
    this.runningVariance = new StateBuffer(ones([channels]));
  }

  /** [B C …] → [B C …]; in training the running statistics change. */
  forward(x: Tensor): Tensor {
    const channels = this.weight.shape[0]!;
    if (x.rank < 2 || x.shape[1] !== channels) {
      throw new VlmError("ShapeError", "BATCH_NORM_CHANNELS", {
        what: `BatchNorm: made for ${channels} channels, got [${x.shape.join(" ")}]`,
        where: currentContext().path.join(".") || undefined,
        hint: "the shape is [batch channels …]",
      });
    }
    const perChannel = x.shape.map((_, axis) => (axis === 1 ? -1 : 1)); // [1 C 1 …]
    const { mean, variance } = currentContext().training ? this.batchStatistics(x) : this.running();
    const scale = this.weight.mul(variance.add(this.eps).rsqrt()); // [C]
    const shift = this.bias.sub(mean.mul(scale)); // [C]
    return x.mul(scale.reshape(perChannel)).add(shift.reshape(perChannel));
  }

  private running(): { mean: Tensor; variance: Tensor } {
    return { mean: this.runningMean, variance: this.runningVariance };
  }

  private batchStatistics(x: Tensor): { mean: Tensor; variance: Tensor } {
    const channels = x.shape[1]!;
    const count = x.size / channels;
    if (count < 2) {
      throw new VlmError("ShapeError", "BATCH_TOO_SMALL", {
        what: `BatchNorm: training needs more than one value per channel, got [${x.shape.join(" ")}]`,
        where: currentContext().path.join(".") || undefined,
        hint: "use a larger batch, or drop the short last one",
      });
    }
    const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
    const mean = x.mean(axes, { keepDims: true });
    const variance = x.sub(mean).square().mean(axes); // [C]
    const flatMean = mean.reshape([channels]);
    const blend = (running: StateBuffer, now: Tensor): void =>
      running.assign(running.mul(1 - this.momentum).add(stopGradient(now).mul(this.momentum)));
    blend(this.runningMean, flatMean);
    blend(this.runningVariance, variance.mul(count / (count - 1)));
    return { mean: flatMean, variance };
  }
}
