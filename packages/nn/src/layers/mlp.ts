import type { Tensor } from "@vlm/core";
import type { Initializer } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { type Activation, activate } from "./activation.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";

/** Sizes and variants of a feed-forward part. */
export type MlpConfig = {
  width: number; // D
  /** Width inside. Default 4·width. */
  hidden?: number;
  /** Width of the result. Default `width`. */
  outputs?: number;
  /** Default "gelu" (by erf). */
  activation?: Activation;
  bias?: boolean;
  dropout?: number;
  init?: Initializer;
  /** Start of the second layer's weight, where a paper scales it by depth. Default `init`. */
  outInit?: Initializer;
};

/** up → activation → down, the feed-forward part of a transformer (Vaswani et al. 2017, eq. 2): [… D] → [… D]. */
export class Mlp extends Module {
  readonly up: Linear; // D → hidden
  readonly down: Linear; // hidden → D
  readonly dropout: Dropout;
  readonly activation: Activation;

  constructor(config: MlpConfig) {
    super();
    const { width, hidden = 4 * width, outputs = width, bias = true, dropout = 0, init, outInit = init } = config;
    this.activation = config.activation ?? "gelu";
    this.up = new Linear(width, hidden, { bias, ...(init && { init }) });
    this.down = new Linear(hidden, outputs, { bias, ...(outInit && { init: outInit }) });
    this.dropout = new Dropout(dropout);
  }

  /** [… D] → [… D]. */
  forward(x: Tensor): Tensor {
    return activate(x.pipe(this.up), this.activation).pipe(this.down).pipe(this.dropout); // [… D]
  }
}

/**
 * down(act(gate(x)) · up(x)), Shazeer 2020, arXiv:2002.05202, eq. 5 and 6: [… D] → [… D]. SwiGLU with "silu" (Llama),
 * GEGLU with "gelu".
 */
export class GatedMlp extends Module {
  readonly gate: Linear; // D → hidden
  readonly up: Linear; // D → hidden
  readonly down: Linear; // hidden → D
  readonly dropout: Dropout;
  readonly activation: Activation;

  constructor(config: MlpConfig) {
    super();
    const { width, hidden = 4 * width, outputs = width, bias = false, dropout = 0, init, outInit = init } = config;
    this.activation = config.activation ?? "silu";
    this.gate = new Linear(width, hidden, { bias, ...(init && { init }) });
    this.up = new Linear(width, hidden, { bias, ...(init && { init }) });
    this.down = new Linear(hidden, outputs, { bias, ...(outInit && { init: outInit }) });
    this.dropout = new Dropout(dropout);
  }

  /** [… D] → [… D]. */
  forward(x: Tensor): Tensor {
    return activate(x.pipe(this.gate), this.activation).mul(x.pipe(this.up)).pipe(this.down).pipe(this.dropout);
  }
}
