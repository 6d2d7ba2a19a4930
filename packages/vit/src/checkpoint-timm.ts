/** timm's names for our parameters, and its configurations, alone and inside OpenCLIP. Left: ours. Right: theirs. */
import { ConfigReader } from "@vlm/weights";
import { activations, asBatchOfOne, asConvolution, imageSize, openClipVision, type ViTFormat } from "./checkpoint.ts";
import { type Size, viTSizes } from "./vit.ts";

/** timm's Vision Transformers: its own checkpoints. */
export const timmViT: ViTFormat = {
  name: "timm ViT",
  config(json) {
    const named = fromArchitecture(json);
    const args = json.at("model_args", { optional: true });
    args.only({ qk_norm: false, init_values: null, no_embed_class: false, reg_tokens: 0, qkv_bias: true });
    const pooling = { token: "class", avg: "mean", map: "map", "": "none" } as const;
    const of = args.has("global_pool") ? args : json;
    const pool = of.choice("global_pool", pooling, named.pool);
    const preNorm = args.flag("pre_norm", named.preNorm);
    const width = args.size("embed_dim", named.width);
    return {
      imageSize: imageSize(args, "img_size", named.imageSize),
      patchSize: args.size("patch_size", named.patchSize),
      channels: args.size("in_chans", 3, { max: 1000 }),
      width,
      depth: args.size("depth", named.depth),
      heads: args.size("num_heads", named.heads),
      mlpWidth: args.has("mlp_ratio") ? Math.floor(width * args.number("mlp_ratio")) : (named.mlpWidth ?? 4 * width),
      activation: args.choice("act_layer", activations, named.activation),
      // Only the architectures of CLIP ask for PyTorch's ε; pre_norm by itself does not.
      eps: named.preNorm ? 1e-5 : 1e-6,
      pool,
      classToken: args.flag("class_token", named.classToken),
      preNorm,
      finalNorm: args.flag("fc_norm", pool === "mean" && !named.tokenNorm) ? "pooled" : "tokens",
      patchBias: !preNorm,
      remainder: "crop",
      interpolation: "antialias",
      classes: json.size("num_classes", 0, { min: 0 }),
    };
  },
  rows: (config, prefix = "") => [
    ["patch.weight", asConvolution(`${prefix}patch_embed.proj.weight`, config)],
    ["patch.bias", `${prefix}patch_embed.proj.bias`],
    ["classToken", `${prefix}cls_token`],
    ["position", asBatchOfOne(`${prefix}pos_embed`)],
    ["preNorm.*", `${prefix}norm_pre.*`],
    ["blocks.{i}.norm1.*", `${prefix}blocks.{i}.norm1.*`],
    ["blocks.{i}.attention.qkv.*", `${prefix}blocks.{i}.attn.qkv.*`],
    ["blocks.{i}.attention.out.*", `${prefix}blocks.{i}.attn.proj.*`],
    ["blocks.{i}.norm2.*", `${prefix}blocks.{i}.norm2.*`],
    ["blocks.{i}.mlp.up.*", `${prefix}blocks.{i}.mlp.fc1.*`],
    ["blocks.{i}.mlp.down.*", `${prefix}blocks.{i}.mlp.fc2.*`],
    ["norm.*", config.finalNorm === "pooled" ? `${prefix}fc_norm.*` : `${prefix}norm.*`],
    ["pool.probe", `${prefix}attn_pool.latent`],
    ["pool.attention.q.*", `${prefix}attn_pool.q.*`],
    ["pool.attention.kv.*", `${prefix}attn_pool.kv.*`],
    ["pool.attention.out.*", `${prefix}attn_pool.proj.*`],
    ["pool.norm.*", `${prefix}attn_pool.norm.*`],
    ["pool.mlp.up.*", `${prefix}attn_pool.mlp.fc1.*`],
    ["pool.mlp.down.*", `${prefix}attn_pool.mlp.fc2.*`],
    ["head.*", `${prefix}head.*`],
  ],
  ignore: [],
};

/** A Vision Transformer of timm that OpenCLIP holds under `visual.trunk.`, SigLIP's among them; `json` is its `model_cfg`. */
export const openClipTrunk: ViTFormat = {
  name: "OpenCLIP image tower of timm",
  config(json) {
    const vision = json.at("vision_cfg");
    const pools = { "": "", avg: "avg", map: "map", token: "token" };
    return timmViT.config(
      new ConfigReader(
        {
          timm_model_name: vision.text("timm_model_name"),
          ...(vision.text("timm_pool", "avg") !== "" && { global_pool: vision.choice("timm_pool", pools, "avg") }),
          // OpenCLIP changes how an architecture pools, and leaves its norms where they are.
          model_args: { fc_norm: false, ...(vision.has("image_size") && { img_size: vision.json.image_size! }) },
        },
        vision.where,
      ),
    );
  },
  rows: (config) => timmViT.rows(config, "visual.trunk."),
  ignore: openClipVision.ignore.map((key) => key.replace("visual.proj", "visual.head.**")),
};

/** What timm's names of architectures say: `vit_base_patch16_siglip_224`. */
const timmSizes: Readonly<Record<string, Size>> = {
  tiny: viTSizes.Ti,
  xsmall: { width: 256, depth: 10, heads: 4 },
  small: viTSizes.S,
  medium: { width: 512, depth: 12, heads: 8 },
  base: viTSizes.B,
  large: viTSizes.L,
  huge: viTSizes.H,
  giant: viTSizes.g,
  giantopt: { width: 1536, depth: 40, heads: 16 }, // SigLIP 2
  gigantic: viTSizes.bigG,
  so400m: viTSizes.so400m,
};

function fromArchitecture(json: ConfigReader) {
  const field = json.has("timm_model_name") ? "timm_model_name" : "architecture";
  const name = json.text(field, "").split(".")[0]!;
  const found = /^(?:vit|deit)_([a-z0-9]+)_patch(\d+)_(siglip_|siglip_gap_|clip_|clip_quickgelu_)?(\d+)$/.exec(name);
  const size = found ? timmSizes[found[1]!] : undefined;
  const isFull = ["img_size", "patch_size", "embed_dim", "depth", "num_heads"].every((arg) =>
    json.at("model_args", { optional: true }).has(arg),
  );
  if (!size && !isFull) {
    throw json.wrong(
      field,
      "vit_SIZE_patchN_(siglip_)IMAGE, or all of it in model_args",
      "networks with layer scale, registers, a distillation token or convolutions are others",
    );
  }
  const has = (word: string): boolean => name.split("_").includes(word);
  // Which of timm's SigLIPs were given the tanh form of GELU (timm/models/vision_transformer.py, 1.0).
  const tanh = has("siglip") && /patch32|so400m_patch16|giantopt|large_.*_512$/.test(name);
  return {
    ...(size ?? viTSizes.B),
    mlpWidth: size?.mlpWidth,
    imageSize: Number(found?.[4] ?? 224),
    patchSize: Number(found?.[2] ?? 16),
    activation: has("quickgelu") ? "quick_gelu" : tanh ? "gelu_tanh" : "gelu",
    pool: has("gap") ? "avg" : has("siglip") ? "map" : "token",
    classToken: !has("siglip"),
    preNorm: has("clip"),
    tokenNorm: has("gap"),
  };
}
