/**
 * The text towers of CLIP — Radford et al. 2021, arXiv:2103.00020, section 2.4 — and of SigLIP — Zhai et al. 2023,
 * arXiv:2303.15343. One transformer; they differ in what a token sees and in which token stands for the text.
 *
 *   ids → token + position → Block × depth → norm → the token at the end of the text (CLIP) or in the last place (SigLIP)
 *
 * B batch · T tokens · V vocabulary · D width
 */
import { currentContext, iota, type Tensor, take, VlmError } from "@vlm/core";
import {
  type Activation,
  Embedding,
  initialKey,
  LayerNorm,
  Module,
  normal,
  Parameter,
  repeat,
  residualInit,
  TransformerBlock,
} from "@vlm/nn";

/** Sizes and variants of a text tower. */
export type TextConfig = {
  vocabSize: number; // V
  /** Most tokens of a text; SigLIP's texts always have as many. */
  context: number; // T
  width: number; // D
  depth: number; // L
  heads: number;
  /** Width inside the feed-forward parts. Default 4·width. */
  mlpWidth?: number;
  activation?: Activation;
  /** ε of all norms. Default 1e-5; SigLIP has 1e-6. */
  eps?: number;
  /** A token sees only those before it. Default true; SigLIP false. */
  causal?: boolean;
  /** Which token stands for the text. Default "end"; SigLIP "last". */
  pool?: "end" | "last";
  /** The id that ends a text, whose first place counts. Default: the place of the greatest id, as OpenAI's code does. */
  endId?: number;
};

/** A transformer from token ids [B T] to one vector per text [B width] (section 2.4). */
export class TextTower extends Module {
  readonly config: TextConfig;
  readonly token: Embedding; // V → D
  readonly position: Parameter; // [T D]
  readonly blocks: TransformerBlock[];
  readonly norm: LayerNorm;

  /** Starts as section 2.5 of the paper refers to: normal, narrower where blocks write into the residual stream. */
  constructor(config: TextConfig) {
    super();
    const { vocabSize, context, width, depth, heads, mlpWidth = 4 * width, activation = "gelu", eps = 1e-5 } = config;
    this.config = config;
    this.token = new Embedding(vocabSize, width, { init: normal(0.02) });
    this.position = new Parameter(normal(0.01)([context, width], initialKey()));
    const shared = { width, heads, mlpWidth, activation, eps, causal: config.causal ?? true };
    this.blocks = repeat(depth, () => new TransformerBlock({ ...shared, ...residualInit(width, depth) }));
    this.norm = new LayerNorm(width, { eps });
  }

  get width(): number {
    return this.config.width;
  }

  get context(): number {
    return this.config.context;
  }

  /** Integer ids [B T] → [B D]. */
  forward(ids: Tensor): Tensor {
    const [B, T] = ids.dims(2);
    const tokens = this.tokens(ids); // [B T D]
    if (this.config.pool === "last") return tokens.slice(null, -1);
    const row = this.endOf(ids).add(iota(B).mul(T)); // [B]
    return take(tokens.reshape([B * T, this.width]), row);
  }

  /** All tokens after the last norm: integer ids [B T] → [B T D]. */
  tokens(ids: Tensor): Tensor {
    const [, T] = ids.dims(2);
    const { context } = this.config;
    if (T > context || T === 0) {
      throw new VlmError("ShapeError", "CONTEXT_LENGTH", {
        what: `TextTower: texts have ${T} tokens, TextConfig.context allows 1 to ${context}: [${ids.shape.join(" ")}]`,
        where: currentContext().path.join(".") || undefined,
        hint: "cut the texts when encoding them: tokenizer.encodeBatch(texts, { length: context })",
        details: { tokens: T, context },
      });
    }
    let x = ids.pipe(this.token).add(this.position.slice([0, T])); // [B T D]
    for (const block of this.blocks) x = x.pipe(block);
    return x.pipe(this.norm);
  }

  /** Where each text ends, [B]; in padding, which repeats the end, the first place counts. */
  private endOf(ids: Tensor): Tensor {
    const { endId } = this.config;
    return endId === undefined ? ids.argmax(-1) : ids.eq(endId).cast("i32").argmax(-1);
  }
}
