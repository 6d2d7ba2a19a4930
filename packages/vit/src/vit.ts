/**
 * Vision Transformer — Dosovitskiy et al. 2020, arXiv:2010.11929.
 *
 *   image → patches → [class] + position → (norm) → Block × depth → norm → pool → (head)
 *
 * B batch · H W pixels · P patch · N patches · T tokens (N, or N + 1 with a class token) · D width · K classes
 */
import { concat, currentContext, expectShape, rearrange, type Tensor, VlmError } from "@vlm/core";
import {
  type Activation,
  Attention,
  type Initializer,
  initialKey,
  keepPatches,
  LayerNorm,
  Linear,
  Mlp,
  Module,
  normal,
  Parameter,
  repeat,
  residualInit,
  TransformerBlock,
  truncatedNormal,
} from "@vlm/nn";
import { type Interpolation, resizePositions, sinCosPositions } from "./positions.ts";

/** Sizes and variants of a Vision Transformer. */
export type ViTConfig = {
  imageSize: number | readonly [height: number, width: number]; // H W
  patchSize: number; // P
  width: number; // D
  depth: number; // L
  heads: number;
  /** Width inside the feed-forward parts. Default 4·width. */
  mlpWidth?: number;
  /** Channels of the image. Default 3. */
  channels?: number;
  activation?: Activation;
  /** ε of all norms. Default 1e-6; CLIP has 1e-5, Hugging Face's ViT 1e-12. */
  eps?: number;
  /**
   * What stands for the image: the class token, the mean of the patches, a learned query that attends to them (MAP head
   * of SigLIP), or all tokens [B T D]. Default "class".
   */
  pool?: "class" | "mean" | "map" | "none";
  /** A learned token before the patches. Default: for `pool: "class"`. */
  classToken?: boolean;
  /** A norm between positions and blocks, as in CLIP. Default false. */
  preNorm?: boolean;
  /** Where the last norm stands: on all tokens, or on the pooled one. Default "tokens"; CLIP "pooled". */
  finalNorm?: "tokens" | "pooled";
  /**
   * How blocks start: "small", normal of 0.02 (Touvron et al. 2020); "residual", by width (`residualInit` of @vlm/nn), which
   * is what narrow networks need. Default "small"; CLIP "residual".
   */
  start?: "small" | "residual";
  /** Bias of the patch embedding. Default true; CLIP has none. */
  patchBias?: boolean;
  positions?: "learned" | "sincos";
  /** How learned positions are made for images of other sizes. Default "bicubic"; timm and OpenCLIP "antialias". */
  interpolation?: Interpolation;
  /** Share of patches left out in training (Li et al. 2023, FLIP). Default 0. */
  patchDropout?: number;
  /** Greatest rate of stochastic depth, reached linearly at the last block. Default 0. */
  dropPath?: number;
  /** What to do with pixels beyond the last whole patch. Default "error"; SigLIP's so400m-384 leaves them out. */
  remainder?: "error" | "crop";
  /** Classes of a linear head; 0 gives features. Default 0. */
  classes?: number; // K
};

/** What the names Ti, S, B, … stand for. */
export type Size = Pick<ViTConfig, "width" | "depth" | "heads"> & { mlpWidth?: number };

/**
 * Table 1 of the paper; Ti and S from Touvron et al. 2020 (DeiT), g and bigG from Zhai et al. 2021 (table 2: g and G) and
 * OpenCLIP, so400m from Alabdulmohsin et al. 2023.
 */
export const viTSizes = {
  Ti: { width: 192, depth: 12, heads: 3 },
  S: { width: 384, depth: 12, heads: 6 },
  B: { width: 768, depth: 12, heads: 12 },
  L: { width: 1024, depth: 24, heads: 16 },
  H: { width: 1280, depth: 32, heads: 16 },
  g: { width: 1408, depth: 40, heads: 16, mlpWidth: 6144 },
  bigG: { width: 1664, depth: 48, heads: 16, mlpWidth: 8192 },
  so400m: { width: 1152, depth: 27, heads: 16, mlpWidth: 4304 },
} satisfies Record<string, Size>;

/** Table 1 of the paper, with ImageNet's 1000 classes: 86.6 M parameters. */
export const ViT_B16 = { imageSize: 224, patchSize: 16, ...viTSizes.B, classes: 1000 } satisfies ViTConfig;
/** 88.2 M parameters. */
export const ViT_B32 = { imageSize: 224, patchSize: 32, ...viTSizes.B, classes: 1000 } satisfies ViTConfig;
/** 304.3 M parameters. */
export const ViT_L16 = { imageSize: 224, patchSize: 16, ...viTSizes.L, classes: 1000 } satisfies ViTConfig;
/** 632.0 M parameters. */
export const ViT_H14 = { imageSize: 224, patchSize: 14, ...viTSizes.H, classes: 1000 } satisfies ViTConfig;
/** 1012.6 M parameters (Zhai et al. 2021, table 2). */
export const ViT_g14 = { imageSize: 224, patchSize: 14, ...viTSizes.g, classes: 1000 } satisfies ViTConfig;
/** 1844.4 M parameters (Zhai et al. 2021, table 2, there G/14). */
export const ViT_bigG14 = { imageSize: 224, patchSize: 14, ...viTSizes.bigG, classes: 1000 } satisfies ViTConfig;
/** 22.1 M parameters (Touvron et al. 2020, table 1). */
export const ViT_S16 = { imageSize: 224, patchSize: 16, ...viTSizes.S, classes: 1000 } satisfies ViTConfig;
/** 5.7 M parameters (Touvron et al. 2020, table 1). */
export const ViT_Ti16 = { imageSize: 224, patchSize: 16, ...viTSizes.Ti, classes: 1000 } satisfies ViTConfig;

/** One token for a whole sequence: a learned probe attends to it (Zhai et al. 2021, multihead attention pooling). */
export class AttentionPool extends Module {
  readonly probe: Parameter; // [1 1 D]
  readonly attention: Attention;
  readonly norm: LayerNorm;
  readonly mlp: Mlp;

  constructor(config: { width: number; heads: number; mlpWidth: number; activation: Activation; eps: number }) {
    super();
    const { width, heads, mlpWidth, activation, eps } = config;
    this.probe = new Parameter(normal(0.02)([1, 1, width], initialKey()));
    this.attention = new Attention({ width, heads, contextWidth: width });
    this.norm = new LayerNorm(width, { eps });
    this.mlp = new Mlp({ width, hidden: mlpWidth, activation });
  }

  /** [B T D] → [B D]. The probe itself is not added to what it gathers. */
  forward(tokens: Tensor): Tensor {
    const { B, D } = expectShape(tokens, "B T D");
    const x = this.probe.expand([B, 1, D]).pipe(this.attention, { context: tokens }); // [B 1 D]
    return x.add(x.pipe(this.norm).pipe(this.mlp)).reshape([B, D]);
  }
}

const small: Initializer = truncatedNormal(0.02);

/** A Vision Transformer: [B 3 H W] → [B width], or [B classes] with a head. */
export class ViT extends Module {
  readonly config: ViTConfig;
  readonly patch: Linear; // C·P·P → D
  readonly classToken: Parameter | null; // [1 1 D]
  readonly position: Parameter | null; // [T D]
  readonly preNorm: LayerNorm | null;
  readonly blocks: TransformerBlock[];
  readonly norm: LayerNorm;
  readonly pool: AttentionPool | null;
  readonly head: Linear | null; // D → K

  constructor(config: ViTConfig) {
    super();
    const { patchSize: P, width, depth, heads, mlpWidth = 4 * width, channels = 3, activation = "gelu" } = config;
    const { eps = 1e-6, pool = "class", classToken = pool === "class", dropPath = 0, classes = 0 } = config;
    if (pool === "class" && !classToken) {
      throw new VlmError("ArgumentError", "POOL_CLASS", {
        what: 'ViTConfig: pool is "class" but classToken is false',
        hint: 'choose pool "mean", "map" or "none", or a class token',
      });
    }
    this.config = config;
    const [rows, columns] = this.grid(this.imageSize);
    this.patch = new Linear(channels * P * P, width, { bias: config.patchBias ?? true, init: small });
    this.classToken = classToken ? new Parameter(small([1, 1, width], initialKey())) : null;
    const tokens = rows * columns + (classToken ? 1 : 0);
    this.position = config.positions === "sincos" ? null : new Parameter(small([tokens, width], initialKey()));
    this.preNorm = config.preNorm ? new LayerNorm(width, { eps }) : null;
    const inits = config.start === "residual" ? residualInit(width, depth) : { init: small };
    this.blocks = repeat(depth, (i) => {
      const rate = depth > 1 ? (dropPath * i) / (depth - 1) : dropPath;
      return new TransformerBlock({ width, heads, mlpWidth, activation, eps, dropPath: rate, ...inits });
    });
    this.norm = new LayerNorm(width, { eps });
    this.pool = pool === "map" ? new AttentionPool({ width, heads, mlpWidth, activation, eps }) : null;
    this.head = classes > 0 ? new Linear(width, classes, { init: small }) : null;
  }

  get width(): number {
    return this.config.width;
  }

  /** [B C H W] → [B D], or [B K] with a head, or [B T D] for `pool: "none"`. */
  forward(image: Tensor): Tensor {
    const { pool = "class", finalNorm = "tokens" } = this.config;
    const tokens = this.tokens(image); // [B T D]
    if (pool === "none") return tokens;
    let x = this.pooled(tokens); // [B D]
    if (finalNorm === "pooled") x = x.pipe(this.norm);
    return this.head ? x.pipe(this.head) : x;
  }

  /** Equations 1 to 3, and 4 where the last norm stands on all tokens: [B C H W] → [B T D]. */
  tokens(image: Tensor): Tensor {
    const { patchDropout = 0, finalNorm = "tokens" } = this.config;
    let x = this.embed(image); // [B T D]
    if (patchDropout > 0) x = keepPatches(x, 1 - patchDropout, this.classToken ? 1 : 0);
    if (this.preNorm) x = x.pipe(this.preNorm);
    for (const block of this.blocks) x = x.pipe(block);
    return finalNorm === "tokens" ? x.pipe(this.norm) : x;
  }

  /** Equation 1: patches, class token and positions. Positions of other grids are interpolated. */
  private embed(image: Tensor): Tensor {
    const P = this.config.patchSize;
    const [B, C, H, W] = image.dims(4);
    if (C !== (this.config.channels ?? 3)) {
      throw new VlmError("ShapeError", "IMAGE_CHANNELS", {
        what: `ViT: images have ${C} channels, ViTConfig.channels is ${this.config.channels ?? 3}: [${image.shape.join(" ")}]`,
        where: currentContext().path.join(".") || undefined,
        hint: "images are [batch channels height width]",
      });
    }
    if (!["f32", "f16", "bf16"].includes(image.dtype)) {
      throw new VlmError("DTypeError", "IMAGE_DTYPE", {
        what: `ViT: images are ${image.dtype}, the network takes floating-point numbers`,
        where: currentContext().path.join(".") || undefined,
        hint: 'preprocess them (scale, then normalise), or cast: image.cast("f32")',
      });
    }
    const grid = this.grid([H, W]);
    const [h, w] = grid;
    const whole = image.slice(null, null, [0, h * P], [0, w * P]);
    let x = rearrange(whole, "B c (h p) (w q) -> B (h w) (c p q)", { p: P, q: P }).pipe(this.patch); // [B N D]
    const D = this.width;
    if (this.classToken) x = concat([this.classToken.expand([B, 1, D]), x], 1); // [B T D]
    return x.add(this.positionsFor(grid));
  }

  private positionsFor(grid: readonly [number, number]): Tensor {
    const prefix = this.classToken ? 1 : 0;
    if (this.position) {
      return resizePositions(this.position, this.grid(this.imageSize), grid, prefix, this.config.interpolation);
    }
    const table = sinCosPositions(grid, this.width);
    return prefix
      ? table.pad([
          [1, 0],
          [0, 0],
        ])
      : table; // the class token has position zero
  }

  private pooled(tokens: Tensor): Tensor {
    if (this.pool) return tokens.pipe(this.pool);
    if (this.config.pool === "mean") return tokens.slice(null, [this.classToken ? 1 : 0]).mean(1);
    return tokens.slice(null, 0);
  }

  private get imageSize(): readonly [number, number] {
    const { imageSize } = this.config;
    return typeof imageSize === "number" ? [imageSize, imageSize] : imageSize;
  }

  /** Rows and columns of patches in an image of this size. */
  private grid([H, W]: readonly [number, number]): [number, number] {
    const { patchSize: P, remainder = "error" } = this.config;
    const [h, w] = [Math.floor(H / P), Math.floor(W / P)];
    if (h > 0 && w > 0 && (remainder === "crop" || (h * P === H && w * P === W))) return [h, w];
    throw new VlmError("ShapeError", "PATCH_SIZE", {
      what: `ViT: an image of ${H}×${W} is not made of whole patches of ${P}×${P}`,
      where: currentContext().path.join(".") || undefined,
      hint: 'change imageSize or patchSize in ViTConfig, resize the image, or set remainder: "crop"',
      details: { height: H, width: W, patchSize: P },
    });
  }
}
