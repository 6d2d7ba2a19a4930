/** Convolution layers. Images are [B C H W], sequences [B C L]; weights are as PyTorch stores them. */
import {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  convTranspose2d,
  type Shape,
  type Tensor,
} from "@vlm/core";
import { constant, type Initializer, initialKey, torchUniform } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";

type Learned = {
  /** Adds a learned number per output channel. Default true. */
  bias?: boolean;
  /** Start of the weight. Default uniform ±1/√(inputs of a unit), as in PyTorch. */
  init?: Initializer;
};

/** Stride, padding, dilation and groups are those of core's `conv2d`. */
export type ConvLayerOptions = Omit<ConvOptions, "bias"> & Learned;
/** As `ConvLayerOptions`, and `outputPadding`. */
export type ConvTransposeLayerOptions = Omit<ConvTransposeOptions, "bias"> & Learned;

abstract class Convolution<O extends ConvLayerOptions | ConvTransposeLayerOptions> extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly config: O;

  constructor(weight: Shape, outputs: number, config: O) {
    super();
    this.config = config;
    const { bias = true, init = torchUniform() } = config;
    this.weight = new Parameter(init(weight, initialKey()));
    this.bias = bias ? new Parameter(constant(0)([outputs], initialKey())) : null;
  }
}

/**
 * Cross-correlation along a sequence, y[o, i] = b[o] + Σ_c Σ_u W[o, c, u]·x[c, i·stride + u·dilation − padding]:
 * [B C L] → [B O L′], L′ as in `Conv2d`. The weight is [O C/groups k]. Waibel et al. 1989 (time-delay networks).
 */
export class Conv1d extends Convolution<ConvLayerOptions> {
  constructor(inputs: number, outputs: number, size: number, options: ConvLayerOptions = {}) {
    super([outputs, inputs / (options.groups ?? 1), size], outputs, options);
  }

  /** [B C N] → [B O N']. */
  forward(x: Tensor): Tensor {
    return conv1d(x, this.weight, { ...this.config, bias: this.bias });
  }
}

/**
 * Cross-correlation with learned windows, y[o, i, j] = b[o] + Σ_c Σ_u Σ_v W[o, c, u, v]·x[c, i·stride + u·dilation −
 * padding, j·…]: [B C H W] → [B O H′ W′], H′ = ⌊(H + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1. The weight is [O
 * C/groups kH kW]. LeCun et al. 1989; the arithmetic as in Dumoulin & Visin 2016, arXiv:1603.07285.
 */
export class Conv2d extends Convolution<ConvLayerOptions> {
  constructor(
    inputs: number,
    outputs: number,
    size: number | readonly [number, number],
    options: ConvLayerOptions = {},
  ) {
    super([outputs, inputs / (options.groups ?? 1), ...pair(size)], outputs, options);
  }

  /** [B C H W] → [B O H' W']. */
  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, { ...this.config, bias: this.bias });
  }
}

/**
 * The gradient of a convolution with respect to its input, used forward: [B C H W] → [B O H′ W′], H′ = (H − 1)·stride −
 * 2·padding + dilation·(k − 1) + outputPadding + 1. The weight is [C O/groups kH kW]. Dumoulin & Visin 2016,
 * arXiv:1603.07285, chapter 4.
 */
export class ConvTranspose2d extends Convolution<ConvTransposeLayerOptions> {
  constructor(
    inputs: number,
    outputs: number,
    size: number | readonly [number, number],
    options: ConvTransposeLayerOptions = {},
  ) {
    super([inputs, outputs / (options.groups ?? 1), ...pair(size)], outputs, options);
  }

  /** [B C H W] → [B O H' W']. */
  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, { ...this.config, bias: this.bias });
  }
}

const pair = (size: number | readonly [number, number]): readonly [number, number] =>
  typeof size === "number" ? [size, size] : size;
