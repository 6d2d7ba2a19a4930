import type { Tensor } from "@vlm/core";
import type { Initializer } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import type { Activation } from "./activation.ts";
import { Attention, type AttentionInputs } from "./attention.ts";
import { DropPath } from "./drop-path.ts";
import { LayerNorm } from "./layer-norm.ts";
import { Mlp } from "./mlp.ts";

/** Sizes and variants of a block. */
export type TransformerBlockConfig = {
  width: number; // D
  heads: number; // H
  /** Width inside the feed-forward part. Default 4·width. */
  mlpWidth?: number;
  activation?: Activation;
  /** ε of both norms. Default 1e-5. */
  eps?: number;
  causal?: boolean;
  dropout?: number;
  /** Rate of stochastic depth on both branches. */
  dropPath?: number;
  init?: Initializer;
  /** Start of the feed-forward part's first layer. Default `init`. */
  mlpInit?: Initializer;
  /** Start of the two projections that write to the residual stream. Default `init`. */
  outInit?: Initializer;
};

/** A pre-norm transformer block (Dosovitskiy et al. 2020, eq. 2 and 3): [B N D] → [B N D]. */
export class TransformerBlock extends Module {
  readonly norm1: LayerNorm;
  readonly attention: Attention;
  readonly norm2: LayerNorm;
  readonly mlp: Mlp;
  readonly dropPath: DropPath;

  constructor(config: TransformerBlockConfig) {
    super();
    const { width, heads, mlpWidth = 4 * width, activation = "gelu", eps = 1e-5, causal = false } = config;
    const shared = {
      width,
      dropout: config.dropout ?? 0,
      ...(config.init && { init: config.init }),
      ...(config.outInit && { outInit: config.outInit }),
    };
    this.norm1 = new LayerNorm(width, { eps });
    this.attention = new Attention({ ...shared, heads, causal });
    this.norm2 = new LayerNorm(width, { eps });
    this.mlp = new Mlp({ ...shared, ...(config.mlpInit && { init: config.mlpInit }), hidden: mlpWidth, activation });
    this.dropPath = new DropPath(config.dropPath ?? 0);
  }

  /** [B N D] → [B N D]. */
  forward(x: Tensor, inputs: AttentionInputs = {}): Tensor {
    x = x.add(x.pipe(this.norm1).pipe(this.attention, inputs).pipe(this.dropPath)); // [B N D]
    return x.add(x.pipe(this.norm2).pipe(this.mlp).pipe(this.dropPath));
  }
}
