/**
 * CLIP — Radford et al. 2021, arXiv:2103.00020, figure 3 — and SigLIP — Zhai et al. 2023, arXiv:2303.15343.
 *
 *   image → image tower → projection ┐
 *                                    ├ s · cosine (+ b) → logits
 *   text  → text tower  → projection ┘
 *
 * B images · K texts · E embedding · s = exp(logitScale) · b = logitBias
 */

import { type ClipLossOptions, clipLoss, siglipLoss } from "@vlm/contrastive";
import { currentContext, fill, l2Normalize, type Tensor, VlmError } from "@vlm/core";
import { Linear, Module, normal, Parameter } from "@vlm/nn";
import { ResNet, type ResNetConfig } from "@vlm/resnet";
import { ViT, type ViTConfig } from "@vlm/vit";
import type { FolderLike, Saved, SaveOptions } from "@vlm/weights";
import { saveCLIPModel } from "./save.ts";
import { type TextConfig, TextTower } from "./text-tower.ts";

/** Any module that makes one vector of an image: [B C H W] → [B width]. */
export type ImageEncoder = Module & {
  readonly width: number;
  /** [B C H W] → [B width]. */
  forward(image: Tensor): Tensor;
};
/** Any module that makes one vector of a text: integer ids [B T] → [B width]. */
export type TextEncoder = Module & {
  readonly width: number;
  /** Most tokens of a text, to which `CLIP.encodeText` pads; an encoder without one is called with ids only. */
  readonly context?: number;
  /** [B T] → [B width]. */
  forward(ids: Tensor): Tensor;
};

/** A matrix from a tower's width to the embedding's, the same with a bias, or nothing. */
export type Projection = "linear" | "biased" | "none";

/** The image tower: a Vision Transformer or CLIP's ResNet. */
export type ImageConfig = ({ kind: "vit" } & ViTConfig) | ({ kind: "resnet" } & Omit<ResNetConfig, "embed">);

/** The two towers, by configuration or as modules of your own, and what joins them. */
export type CLIPConfig = {
  /** What is not said of a `vit` is CLIP's: a norm before the blocks, the last norm on the pooled token, ε 1e-5. */
  image: ImageConfig | ImageEncoder;
  text: TextConfig | TextEncoder;
  embed: number; // E
  /** Default "linear", and "none" for a ResNet, whose attention pool has the embedding's width. */
  imageProjection?: Projection;
  /** Default "linear"; SigLIP "biased". */
  textProjection?: Projection;
  /** Where the learned log of the inverse temperature starts. Default ln(1/0.07); SigLIP ln 10. */
  logitScale?: number;
  /** Where SigLIP's learned bias starts; without one logits have none and labels compete. SigLIP −10. */
  logitBias?: number;
};

/** What CLIP's Vision Transformers have in common (section 2.4). */
const clipViT = { preNorm: true, finalNorm: "pooled", patchBias: false, eps: 1e-5, start: "residual" } as const;

/** Two towers and a scale: image and text vectors of one space (Radford et al. 2021; SigLIP: Zhai et al. 2023). */
export class CLIPModel extends Module {
  readonly config: CLIPConfig;
  readonly image: ImageEncoder;
  readonly imageProjection: Linear | null; // → E
  readonly text: TextEncoder;
  readonly textProjection: Linear | null; // → E
  readonly logitScale: Parameter; // []
  readonly logitBias: Parameter | null; // []

  constructor(config: CLIPConfig) {
    super();
    const { embed } = config;
    const image = config.image instanceof Module ? config.image : withDefaults(config.image);
    this.config = { ...config, image };
    this.image = image instanceof Module ? image : imageTower(image, embed);
    this.text = config.text instanceof Module ? config.text : new TextTower(config.text);
    const isResNet = "kind" in image && image.kind === "resnet";
    this.imageProjection = projection(
      "image",
      config.imageProjection ?? (isResNet ? "none" : "linear"),
      this.image.width,
      embed,
    );
    this.textProjection = projection("text", config.textProjection ?? "linear", this.text.width, embed);
    this.logitScale = new Parameter(fill(config.logitScale ?? Math.log(1 / 0.07), []));
    this.logitBias = config.logitBias === undefined ? null : new Parameter(fill(config.logitBias, []));
    // The towers learn where they stand, so that errors below name the whole path: `CLIPModel.image.blocks.3`.
    this.namedParameters();
  }

  /** [B C H W] → [B E], not normalised. */
  imageFeatures(image: Tensor): Tensor {
    checkBatch("imageFeatures", "images", image);
    const x = image.pipe(this.image);
    return this.imageProjection ? x.pipe(this.imageProjection) : x;
  }

  /** Integer ids [B T] → [B E], not normalised. */
  textFeatures(ids: Tensor): Tensor {
    checkBatch("textFeatures", "texts", ids);
    const x = ids.pipe(this.text);
    return this.textProjection ? x.pipe(this.textProjection) : x;
  }

  /** Features [B E] and [K E] → logits [B K]: s·cosine + b. */
  logits(image: Tensor, text: Tensor): Tensor {
    const cosines = l2Normalize(image).matmul(l2Normalize(text).transpose());
    const scaled = cosines.mul(this.logitScale.exp());
    return this.logitBias ? scaled.add(this.logitBias) : scaled;
  }

  /** Logits [B K] → probabilities: of each label by itself with a bias (SigLIP), else of one label among all. */
  probabilities(logits: Tensor): Tensor {
    return this.logitBias ? logits.sigmoid() : logits.softmax(-1);
  }

  /**
   * The loss that belongs to the model, of B pairs: SigLIP's with a bias, else CLIP's symmetric one. For large batches
   * see `chunk`, and `gradientCache` of @vlm/contrastive.
   */
  loss(image: Tensor, ids: Tensor, options: Pick<ClipLossOptions, "chunk"> = {}): Tensor {
    const [i, t] = [this.imageFeatures(image), this.textFeatures(ids)];
    return this.logitBias
      ? siglipLoss(i, t, this.logitScale, this.logitBias, options)
      : clipLoss(i, t, this.logitScale, options);
  }

  /**
   * Writes `model.safetensors` and `config.json`, in Hugging Face's form where the model is CLIP's or SigLIP's and in
   * OpenCLIP's for a ResNet, so that their code opens it. Throws `ArgumentError OWN_ENCODER` for encoders of your own.
   */
  save(folder: FolderLike, options: SaveOptions = {}): Promise<Saved> {
    return saveCLIPModel(this, folder, options);
  }
}

/** A model with fresh weights. Own encoders are modules with `width` and `forward(x)`. */
export const createCLIP = (config: CLIPConfig): CLIPModel => new CLIPModel(config);

function withDefaults(image: ImageConfig): ImageConfig {
  return image.kind === "vit" ? { ...clipViT, ...image } : image;
}

function imageTower(config: ImageConfig, embed: number): ImageEncoder {
  return config.kind === "vit" ? new ViT(config) : new ResNet({ ...config, embed });
}

function projection(side: "image" | "text", kind: Projection, width: number, embed: number): Linear | null {
  if (kind !== "none") return new Linear(width, embed, { bias: kind === "biased", init: normal(width ** -0.5) });
  if (width === embed) return null;
  throw new VlmError("ArgumentError", "EMBED_WIDTH", {
    what: `CLIPConfig: the ${side} tower has width ${width}, embed is ${embed}, and ${side}Projection is "none"`,
    hint: `set ${side}Projection to "linear", or embed to ${width}`,
    details: { width, embed },
  });
}

function checkBatch(method: string, what: string, x: Tensor): void {
  if (x.shape[0] !== 0) return;
  throw new VlmError("ShapeError", "BATCH_EMPTY", {
    what: `${method}: there are no ${what}: [${x.shape.join(" ")}]`,
    where: currentContext().path.join(".") || undefined,
    hint: "skip empty batches",
  });
}
