/** Convolution layers. Images are [B C H W], sequences [B C L], weights as PyTorch stores them. */
import { conv1d, conv2d, convTranspose2d, type Tensor } from "@vlm/core";
import { constant, type Initializer, initialKey, torchUniform } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";

/** One number for all axes, or one for each. */
export type PerAxis = number | readonly [number, number];

export type Conv2dOptions = {
  /** Default 1. */
  stride?: PerAxis;
  /** Zeros on each side. Default 0. */
  padding?: PerAxis;
  /** Default 1. */
  dilation?: PerAxis;
  /** Channels are convolved in this many separate groups. Default 1. */
  groups?: number;
  /** Default true. */
  bias?: boolean;
  /** Default uniform ±1/√(inputs of a unit), as in PyTorch. */
  init?: Initializer;
};

const pair = (x: PerAxis): readonly [number, number] => (typeof x === "number" ? [x, x] : x);

/** Cross-correlation with learned windows plus bias: [B C H W] → [B O H' W'], H' = ⌊(H + 2p − d(k − 1) − 1)/s⌋ + 1. */
export class Conv2d extends Module {
  readonly weight: Parameter; // [O C/groups kH kW]
  readonly bias: Parameter | null; // [O]
  readonly config: Conv2dOptions;

  constructor(inputs: number, outputs: number, size: PerAxis, options: Conv2dOptions = {}) {
    super();
    this.config = options;
    const { groups = 1, bias = true, init = torchUniform() } = options;
    this.weight = new Parameter(init([outputs, inputs / groups, ...pair(size)], initialKey()));
    this.bias = bias ? new Parameter(constant(0)([outputs], initialKey())) : null;
  }

  forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = this.config;
    const y = conv2d(x, this.weight, {
      stride: pair(stride),
      padding: pair(padding),
      dilation: pair(dilation),
      groups,
    });
    return this.bias ? y.add(this.bias.reshape([1, -1, 1, 1])) : y;
  }
}

export type Conv1dOptions = Omit<Conv2dOptions, "stride" | "padding" | "dilation"> & {
  stride?: number;
  padding?: number;
  dilation?: number;
};

/** Cross-correlation along a sequence plus bias: [B C L] → [B O L']. */
export class Conv1d extends Module {
  readonly weight: Parameter; // [O C/groups k]
  readonly bias: Parameter | null; // [O]
  readonly config: Conv1dOptions;

  constructor(inputs: number, outputs: number, size: number, options: Conv1dOptions = {}) {
    super();
    this.config = options;
    const { groups = 1, bias = true, init = torchUniform() } = options;
    this.weight = new Parameter(init([outputs, inputs / groups, size], initialKey()));
    this.bias = bias ? new Parameter(constant(0)([outputs], initialKey())) : null;
  }

  forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = this.config;
    const y = conv1d(x, this.weight, { stride, padding, dilation, groups });
    return this.bias ? y.add(this.bias.reshape([1, -1, 1])) : y;
  }
}

export type ConvTranspose2dOptions = Conv2dOptions & {
  /** Extra rows and columns at the end, to choose between sizes that a stride maps to the same. Default 0. */
  outputPadding?: PerAxis;
};

/** The gradient of a convolution with respect to its input, used forward: [B C H W] → [B O H' W'], H' = (H − 1)s − 2p + d(k − 1) + 1. */
export class ConvTranspose2d extends Module {
  readonly weight: Parameter; // [C O/groups kH kW]
  readonly bias: Parameter | null; // [O]
  readonly config: ConvTranspose2dOptions;

  constructor(inputs: number, outputs: number, size: PerAxis, options: ConvTranspose2dOptions = {}) {
    super();
    this.config = options;
    const { groups = 1, bias = true, init = torchUniform() } = options;
    this.weight = new Parameter(init([inputs, outputs / groups, ...pair(size)], initialKey()));
    this.bias = bias ? new Parameter(constant(0)([outputs], initialKey())) : null;
  }

  forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0, dilation = 1, groups = 1, outputPadding = 0 } = this.config;
    const y = convTranspose2d(x, this.weight, {
      stride: pair(stride),
      padding: pair(padding),
      dilation: pair(dilation),
      outputPadding: pair(outputPadding),
      groups,
    });
    return this.bias ? y.add(this.bias.reshape([1, -1, 1, 1])) : y;
  }
}
