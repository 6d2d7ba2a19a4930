import {
  currentContext,
  expectShape,
  iota,
  logicalAnd,
  scaledDotProductAttention,
  type Tensor,
  VlmError,
} from "@vlm/core";
import type { Initializer } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Dropout } from "./dropout.ts";
import type { KeyValueCache } from "./key-value-cache.ts";
import { LayerNorm } from "./layer-norm.ts";
import { Linear } from "./linear.ts";
import { RMSNorm } from "./rms-norm.ts";
import { applyRotary, type RotaryConfig } from "./rotary.ts";

/** Sizes and variants of attention. */
export type AttentionConfig = {
  width: number; // D
  heads: number; // H
  /** Heads of keys and values, each shared by H/K query heads (Ainslie et al. 2023). Default `heads`. */
  kvHeads?: number; // K
  /** Width of a head. Default width / heads. */
  headWidth?: number; // d
  /** Keys and values come from a context of this width: cross-attention. */
  contextWidth?: number; // E
  /** Width of the result. Default `width`. */
  outputs?: number;
  /** Bias of the query, key and value projections. Default true. */
  bias?: boolean;
  /** Bias of the output projection. Default `bias`. */
  outBias?: boolean;
  /** Each position sees only itself and those before it. */
  causal?: boolean;
  /** Norm of every query and key head (Dehghani et al. 2023, section 3). */
  qkNorm?: "layer" | "rms";
  /** ε of that norm. */
  qkNormEps?: number;
  /** Turns queries and keys by their position. */
  rotary?: RotaryConfig;
  /** Factor of the logits. Default d^(−½). */
  scale?: number;
  /** Drop-out of the result. Default 0. */
  dropout?: number;
  init?: Initializer;
  /** Start of the output projection's weight, where a paper scales it by depth. Default `init`. */
  outInit?: Initializer;
};

/** What attention sees besides x. */
export type AttentionInputs = {
  /** Where keys and values come from, [B M E]; for cross-attention. */
  context?: Tensor;
  /** Bool, true where a query may look; broadcast to [B H N M], M being the cache's capacity where there is one. */
  mask?: Tensor | undefined;
  /** Bool [B M], true for keys that exist (not padding). */
  keyMask?: Tensor | undefined;
  /** Added to the logits; broadcast to [B H N M]. */
  bias?: Tensor | undefined;
  /** Positions for rotary embedding, [N] or [B N]. Default 0 … N − 1, after the tokens in the cache. */
  positions?: Tensor | undefined;
  /** Keys and values of earlier tokens; makes the attention causal. */
  cache?: KeyValueCache | undefined;
};

/**
 * softmax(q·kᵀ·scale + bias)·v per head, then the output projection; Vaswani et al. 2017, eq. 1: [B N D] → [B N D].
 *
 * Self-attention projects with one matrix `qkv`, whose rows are H·d queries, K·d keys and K·d values, in this order;
 * cross-attention (`contextWidth`) with `q` and `kv`.
 */
export class Attention extends Module {
  readonly qkv: Linear | null;
  readonly q: Linear | null;
  readonly kv: Linear | null;
  readonly out: Linear;
  readonly qNorm: LayerNorm | RMSNorm | null;
  readonly kNorm: LayerNorm | RMSNorm | null;
  readonly dropout: Dropout;
  readonly config: AttentionConfig;

  constructor(config: AttentionConfig) {
    super();
    const { width, heads, bias = true, outBias = bias, init, outInit = init, contextWidth, outputs = width } = config;
    const { kvHeads, headWidth } = sizes(config);
    this.config = config;
    const options = { bias, ...(init && { init }) };
    const cross = contextWidth !== undefined;
    this.qkv = cross ? null : new Linear(width, (heads + 2 * kvHeads) * headWidth, options);
    this.q = cross ? new Linear(width, heads * headWidth, options) : null;
    this.kv = cross ? new Linear(contextWidth, 2 * kvHeads * headWidth, options) : null;
    this.qNorm = headNorm(config, headWidth);
    this.kNorm = headNorm(config, headWidth);
    this.out = new Linear(heads * headWidth, outputs, { bias: outBias, ...(outInit && { init: outInit }) });
    this.dropout = new Dropout(config.dropout ?? 0);
  }

  /** [B N D] → [B N D]. */
  forward(x: Tensor, inputs: AttentionInputs = {}): Tensor {
    const { width, heads } = this.config;
    const { headWidth } = sizes(this.config);
    const { B, N } = expectShape(x, "B N D", { D: width });
    let [q, k, v] = this.project(x, inputs.context);
    if (this.qNorm) q = q.pipe(this.qNorm);
    if (this.kNorm) k = k.pipe(this.kNorm);
    const { rotary, causal = false, scale = headWidth ** -0.5 } = this.config;
    if (rotary) {
      const steps = iota(N);
      const positions = inputs.positions ?? (inputs.cache ? steps.add(inputs.cache.length) : steps);
      q = applyRotary(q, positions, rotary);
      k = applyRotary(k, positions, rotary);
    }
    let { mask } = inputs;
    let lengths: Tensor | undefined;
    if (inputs.keyMask) {
      const { batch, M } = expectShape(inputs.keyMask, "batch M");
      const padding = inputs.keyMask.reshape([batch, 1, 1, M]);
      mask = mask ? logicalAnd(mask, padding) : padding;
    }
    if (inputs.cache) {
      const seen = inputs.cache.append(k, v);
      [k, v] = [seen.keys, seen.values]; // [B K C d]
      lengths = seen.lengths;
    }
    const y = scaledDotProductAttention(q, k, v, {
      scale,
      causal: causal || lengths !== undefined,
      ...(lengths && { lengths }),
      ...(mask && { mask }),
      ...(inputs.bias && { bias: inputs.bias }),
    }); // [B H N d]
    return y
      .permute([0, 2, 1, 3])
      .reshape([B, N, heads * headWidth])
      .pipe(this.out)
      .pipe(this.dropout);
  }

  /** Queries [B H N d], keys and values [B K M d]. */
  private project(x: Tensor, context: Tensor | undefined): [Tensor, Tensor, Tensor] {
    const { heads } = this.config;
    const { kvHeads, headWidth } = sizes(this.config);
    if (this.qkv) {
      if (context) throw contextError("has no use for a context", "set `contextWidth` for cross-attention");
      const all = splitHeads(x.pipe(this.qkv), heads + 2 * kvHeads, headWidth); // [B H+2K N d]
      return [
        all.slice(null, [0, heads]),
        all.slice(null, [heads, heads + kvHeads]),
        all.slice(null, [heads + kvHeads, heads + 2 * kvHeads]),
      ];
    }
    if (!context) throw contextError("needs a context", "call it as x.pipe(attention, { context })");
    const both = splitHeads(context.pipe(this.kv!), 2 * kvHeads, headWidth); // [B 2K M d]
    return [
      splitHeads(x.pipe(this.q!), heads, headWidth),
      both.slice(null, [0, kvHeads]),
      both.slice(null, [kvHeads, 2 * kvHeads]),
    ];
  }
}

/** [B N H·d] → [B H N d]. */
function splitHeads(x: Tensor, heads: number, headWidth: number): Tensor {
  const { B, N } = expectShape(x, "B N D");
  return x.reshape([B, N, heads, headWidth]).permute([0, 2, 1, 3]);
}

function sizes({ width, heads, kvHeads = heads, headWidth = width / heads }: AttentionConfig): {
  kvHeads: number;
  headWidth: number;
} {
  const problem = !Number.isInteger(headWidth)
    ? `width ${width} is no multiple of ${heads} heads`
    : heads % kvHeads !== 0
      ? `${heads} query heads cannot share ${kvHeads} key heads evenly`
      : null;
  if (problem === null) return { kvHeads, headWidth };
  throw new VlmError("ArgumentError", "HEADS", {
    what: `Attention: ${problem}`,
    where: currentContext().path.join(".") || undefined,
    hint: "change `heads` or `kvHeads`, or give `headWidth`",
  });
}

function headNorm({ qkNorm, qkNormEps }: AttentionConfig, width: number): LayerNorm | RMSNorm | null {
  if (!qkNorm) return null;
  const options = qkNormEps === undefined ? {} : { eps: qkNormEps };
  return qkNorm === "layer" ? new LayerNorm(width, options) : new RMSNorm(width, options);
}

const contextError = (what: string, hint: string): VlmError =>
  new VlmError("ArgumentError", "CONTEXT", {
    what: `Attention: it ${what}`,
    where: currentContext().path.join(".") || undefined,
    hint,
  });
