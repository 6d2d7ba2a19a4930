/** The names of checkpoint families for our parameters and configuration. Left: ours. Right: theirs. */
import type { Activation } from "@vlm/nn";
import { type ConfigReader, concat, type Expression, type KeyRule, part, reshape } from "@vlm/weights";
import type { ViTConfig } from "./vit.ts";

/** A family of checkpoints of Vision Transformers. */
export type ViTFormat = {
  readonly name: string;
  /** Our configuration from theirs. Throws `ArgumentError CONFIG_FIELD`. */
  config(json: ConfigReader): ViTConfig;
  /** The two-column table of names; `prefix` stands before theirs where the family says so. */
  rows(config: ViTConfig, prefix?: string): readonly KeyRule[];
  /** Their tensors that a plain ViT does not need. */
  readonly ignore: readonly string[];
  /** Other spellings of their keys. */
  readonly aliases?: readonly (readonly [other: string, key: string])[];
};

/** Hugging Face's names of activations. */
export const activations: Readonly<Record<string, Activation>> = {
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  gelu_tanh: "gelu-tanh",
  quick_gelu: "quick-gelu",
  relu: "relu",
  silu: "silu",
  swish: "silu",
};

/** The patch embedding is a convolution in files: [D C P P]. */
export const asConvolution = (key: string, { channels = 3, patchSize }: ViTConfig): Expression =>
  reshape(key, [-1, channels, patchSize, patchSize]);
/** [D] in the file. */
const asVector = (key: string): Expression => reshape(key, [-1]);
/** [1 T D] in the file. */
export const asBatchOfOne = (key: string): Expression => reshape(key, ([tokens = 0, width = 0]) => [1, tokens, width]);

/** `google/vit-base-patch16-224` and its kin: transformers' ViTModel and ViTForImageClassification. */
export const huggingFaceViT: ViTFormat = {
  name: "Hugging Face ViT",
  config(json) {
    const classifies = json.has("architectures") && JSON.stringify(json.json.architectures).includes("Classification");
    const labels = json.has("id2label")
      ? Object.keys(json.at("id2label").json).length
      : json.size("num_labels", 2, { min: 0 });
    json.only({ qkv_bias: true });
    return {
      ...transformerFields(json, { eps: 1e-12, activation: "gelu" }),
      classes: classifies ? labels : 0,
    };
  },
  rows: (config) => [
    ["patch.weight", asConvolution("vit.embeddings.patch_embeddings.projection.weight", config)],
    ["patch.bias", "vit.embeddings.patch_embeddings.projection.bias"],
    ["classToken", "vit.embeddings.cls_token"],
    ["position", asBatchOfOne("vit.embeddings.position_embeddings")],
    ["blocks.{i}.norm1.*", "vit.encoder.layer.{i}.layernorm_before.*"],
    [
      "blocks.{i}.attention.qkv.*",
      concat(
        "vit.encoder.layer.{i}.attention.attention.query.*",
        "vit.encoder.layer.{i}.attention.attention.key.*",
        "vit.encoder.layer.{i}.attention.attention.value.*",
      ),
    ],
    ["blocks.{i}.attention.out.*", "vit.encoder.layer.{i}.attention.output.dense.*"],
    ["blocks.{i}.norm2.*", "vit.encoder.layer.{i}.layernorm_after.*"],
    ["blocks.{i}.mlp.up.*", "vit.encoder.layer.{i}.intermediate.dense.*"],
    ["blocks.{i}.mlp.down.*", "vit.encoder.layer.{i}.output.dense.*"],
    ["norm.*", "vit.layernorm.*"],
    ["head.*", "classifier.*"],
  ],
  // What ViTModel and ViTForMaskedImageModeling have beside.
  ignore: ["vit.pooler.**", "vit.embeddings.mask_token", "decoder.**"],
  aliases: [
    ["embeddings.**", "vit.embeddings.**"],
    ["encoder.**", "vit.encoder.**"],
    ["layernorm.**", "vit.layernorm.**"],
    ["pooler.**", "vit.pooler.**"],
  ],
};

/** The blocks of CLIP's and SigLIP's towers in transformers. */
export const huggingFaceBlocks = (tower: string): readonly KeyRule[] => [
  ["blocks.{i}.norm1.*", `${tower}.encoder.layers.{i}.layer_norm1.*`],
  [
    "blocks.{i}.attention.qkv.*",
    concat(
      `${tower}.encoder.layers.{i}.self_attn.q_proj.*`,
      `${tower}.encoder.layers.{i}.self_attn.k_proj.*`,
      `${tower}.encoder.layers.{i}.self_attn.v_proj.*`,
    ),
  ],
  ["blocks.{i}.attention.out.*", `${tower}.encoder.layers.{i}.self_attn.out_proj.*`],
  ["blocks.{i}.norm2.*", `${tower}.encoder.layers.{i}.layer_norm2.*`],
  ["blocks.{i}.mlp.up.*", `${tower}.encoder.layers.{i}.mlp.fc1.*`],
  ["blocks.{i}.mlp.down.*", `${tower}.encoder.layers.{i}.mlp.fc2.*`],
];

/** transformers 5 saves a tower of its own without the prefix. */
const withoutTower: ViTFormat["aliases"] = ["embeddings", "encoder", "pre_layrnorm", "post_layernorm", "head"].map(
  (name) => [`${name}.**`, `vision_model.${name}.**`] as const,
);

/** The image tower of `openai/clip-vit-base-patch32` and its kin: transformers' CLIPVisionModel. */
export const clipVision: ViTFormat = {
  name: "Hugging Face CLIP vision tower",
  config: (json) => ({
    ...transformerFields(json, { eps: 1e-5, activation: "quick_gelu", patchSize: 32 }),
    preNorm: true,
    finalNorm: "pooled",
    patchBias: false,
  }),
  rows: (config) => [
    ["patch.weight", asConvolution("vision_model.embeddings.patch_embedding.weight", config)],
    ["classToken", asVector("vision_model.embeddings.class_embedding")],
    ["position", "vision_model.embeddings.position_embedding.weight"],
    ["preNorm.*", "vision_model.pre_layrnorm.*"], // sic
    ...huggingFaceBlocks("vision_model"),
    ["norm.*", "vision_model.post_layernorm.*"],
  ],
  ignore: ["vision_model.embeddings.position_ids", "text_model.**", "*_projection.weight", "logit_scale"],
  aliases: withoutTower,
};

/** The image tower of `google/siglip-base-patch16-224` and its kin: transformers' SiglipVisionModel. */
export const siglipVision: ViTFormat = {
  name: "Hugging Face SigLIP vision tower",
  config: (json) => {
    json.only({ vision_use_head: true });
    return {
      ...transformerFields(json, { eps: 1e-6, activation: "gelu_pytorch_tanh" }),
      pool: "map",
      preNorm: false,
      finalNorm: "tokens",
      patchBias: true,
      remainder: "crop",
    };
  },
  rows: (config) => [
    ["patch.weight", asConvolution("vision_model.embeddings.patch_embedding.weight", config)],
    ["patch.bias", "vision_model.embeddings.patch_embedding.bias"],
    ["position", "vision_model.embeddings.position_embedding.weight"],
    ...huggingFaceBlocks("vision_model"),
    ["norm.*", "vision_model.post_layernorm.*"],
    ["pool.probe", "vision_model.head.probe"],
    ["pool.attention.q.*", part("vision_model.head.attention.in_proj_*", 0, 3)],
    [
      "pool.attention.kv.*",
      concat(part("vision_model.head.attention.in_proj_*", 1, 3), part("vision_model.head.attention.in_proj_*", 2, 3)),
    ],
    ["pool.attention.out.*", "vision_model.head.attention.out_proj.*"],
    ["pool.norm.*", "vision_model.head.layernorm.*"],
    ["pool.mlp.up.*", "vision_model.head.mlp.fc1.*"],
    ["pool.mlp.down.*", "vision_model.head.mlp.fc2.*"],
  ],
  ignore: ["vision_model.embeddings.position_ids", "text_model.**", "logit_scale", "logit_bias"],
  aliases: withoutTower,
};

/** The blocks of OpenAI's CLIP and of OpenCLIP. */
export const openClipBlocks = (prefix: string): readonly KeyRule[] => [
  ["blocks.{i}.norm1.*", `${prefix}resblocks.{i}.ln_1.*`],
  ["blocks.{i}.attention.qkv.*", `${prefix}resblocks.{i}.attn.in_proj_*`],
  ["blocks.{i}.attention.out.*", `${prefix}resblocks.{i}.attn.out_proj.*`],
  ["blocks.{i}.norm2.*", `${prefix}resblocks.{i}.ln_2.*`],
  ["blocks.{i}.mlp.up.*", `${prefix}resblocks.{i}.mlp.c_fc.*`],
  ["blocks.{i}.mlp.down.*", `${prefix}resblocks.{i}.mlp.c_proj.*`],
];

/** The image tower of `open_clip_config.json`; `json` is its `model_cfg`. */
export const openClipVision: ViTFormat = {
  name: "OpenCLIP image tower",
  config(json) {
    const vision = json.at("vision_cfg");
    vision.only({
      ls_init_value: null,
      attentional_pool: false,
      block_type: "default",
      qk_norm: false,
      global_average_pool: false,
    });
    const width = vision.size("width", 768);
    const pool = vision.choice("pool_type", { tok: "class", avg: "mean" } as const, "tok");
    const afterPool = pool === "class" || vision.flag("final_ln_after_pool", false);
    return {
      ...wholePatches(imageSize(vision, "image_size", 224), vision.size("patch_size", 16)),
      width,
      depth: vision.size("layers", 12),
      heads: headsOf(vision, "head_width", width),
      mlpWidth: Math.floor(width * vision.number("mlp_ratio", 4)),
      activation: json.flag("quick_gelu", false) ? "quick-gelu" : openClipGelu(vision),
      eps: vision.at("norm_kwargs", { optional: true }).number("eps", 1e-5),
      pool,
      classToken: true,
      positions: vision.choice("pos_embed_type", { learnable: "learned", sin_cos_2d: "sincos" } as const, "learnable"),
      preNorm: !vision.flag("no_ln_pre", false),
      finalNorm: afterPool ? "pooled" : "tokens",
      patchBias: false,
      patchDropout: vision.number("patch_dropout", 0),
      interpolation: "antialias",
    };
  },
  rows: (config) => [
    ["patch.weight", asConvolution("visual.conv1.weight", config)],
    ["classToken", asVector("visual.class_embedding")],
    ["position", "visual.positional_embedding"],
    ["preNorm.*", "visual.ln_pre.*"],
    ...openClipBlocks("visual.transformer."),
    ["norm.*", "visual.ln_post.*"],
  ],
  // Everything but the image tower, its projection, and a fixed table of positions.
  ignore: [
    "visual.proj", "visual.positional_embedding", "text.**", "transformer.**", "token_embedding.weight", "positional_embedding", "ln_final.*",
    "text_projection", "logit_scale", "logit_bias", "attn_mask",
  ], // biome-ignore format: a list of names
};

/** Which GELU a part of OpenCLIP's configuration asks for, where the model has no quick one. */
export const openClipGelu = (json: ConfigReader): "gelu" | "gelu-tanh" =>
  json.at("act_kwargs", { optional: true }).choice("approximate", { none: "gelu", tanh: "gelu-tanh" } as const, "none");

/** The fields that transformers' configurations of vision towers share. */
function transformerFields(
  json: ConfigReader,
  defaults: { eps: number; activation: string; patchSize?: number },
): Omit<ViTConfig, "imageSize"> & { imageSize: ViTConfig["imageSize"] } {
  const width = json.size("hidden_size", 768);
  return {
    ...wholePatches(imageSize(json, "image_size", 224), json.size("patch_size", defaults.patchSize ?? 16)),
    width,
    depth: json.size("num_hidden_layers", 12, { max: 1000 }),
    heads: checkedHeads(json, "num_attention_heads", json.size("num_attention_heads", 12), width),
    mlpWidth: json.size("intermediate_size", 3072),
    channels: json.size("num_channels", 3, { max: 1000 }),
    activation: json.choice("hidden_act", activations, defaults.activation),
    eps: json.number("layer_norm_eps", defaults.eps),
  };
}

/** What a checkpoint's own images leave over beside their patches is not read, as by the convolution of the reference. */
function wholePatches(
  size: ViTConfig["imageSize"],
  patchSize: number,
): Pick<ViTConfig, "imageSize" | "patchSize" | "remainder"> {
  const isWhole = [size].flat().every((length) => (length as number) % patchSize === 0);
  return { imageSize: size, patchSize, ...(!isWhole && { remainder: "crop" as const }) };
}

/** One size, or height and width. */
export function imageSize(json: ConfigReader, name: string, fallback: number | undefined): ViTConfig["imageSize"] {
  if (!Array.isArray(json.json[name])) return json.size(name, fallback);
  const [height, width, ...more] = json.numbers(name);
  if (height === undefined || width === undefined || more.length > 0)
    throw json.wrong(name, "one size, or height and width");
  return height === width ? height : [height, width];
}

function checkedHeads(json: ConfigReader, name: string, heads: number, width: number): number {
  if (width % heads === 0) return heads;
  throw json.wrong(name, `heads that share a width of ${width} evenly`);
}

function headsOf(json: ConfigReader, name: string, width: number): number {
  const headWidth = json.size(name, 64);
  if (width % headWidth === 0) return width / headWidth;
  throw json.wrong(name, `a width of heads that divides ${width}`);
}
