/** The names of checkpoint families for our parameters, and their configurations for ours. Left: ours. Right: theirs. */
import { openClipResNet, openClipResNetIgnore, resNetConfigFromOpenClip } from "@vlm/resnet";
import {
  activations,
  clipVision,
  huggingFaceBlocks,
  openClipBlocks,
  openClipVision,
  siglipVision,
  timmViT,
  type ViTConfig,
} from "@vlm/vit";
import { ConfigReader, type KeyMap, type KeyRule, keyMap, reshape, transpose } from "@vlm/weights";
import type { CLIPConfig, ImageConfig } from "./clip-model.ts";
import type { TextConfig } from "./text-tower.ts";

/** A configuration of parts that can be written down: no encoders of one's own. */
export type PlainConfig = CLIPConfig & { image: ImageConfig; text: TextConfig };

/** A family of checkpoints. */
export type CLIPFormat = {
  readonly name: string;
  /** Our configuration from theirs. Throws `ArgumentError CONFIG_FIELD`. */
  config(json: ConfigReader): PlainConfig;
  map(config: PlainConfig): KeyMap;
};

const under = (module: string, rows: readonly KeyRule[]): KeyRule[] =>
  rows.map(([parameter, from]) => [`${module}.${parameter}`, from]);

/** The image tower's configuration as a ViT's; the maps below that use it are those of ViTs. */
const viTOf = (config: PlainConfig): ViTConfig => config.image as ViTConfig;

/** transformers' text towers, without the projection. */
const huggingFaceText: readonly KeyRule[] = [
  ["text.token.weight", "text_model.embeddings.token_embedding.weight"],
  ["text.position", "text_model.embeddings.position_embedding.weight"],
  ...under("text", huggingFaceBlocks("text_model")),
  ["text.norm.*", "text_model.final_layer_norm.*"],
];

const textFields = (
  json: ConfigReader,
  defaults: { vocabSize: number; context: number; width: number; heads: number; activation: string; eps: number },
) => {
  const width = json.size("hidden_size", defaults.width);
  const heads = json.size("num_attention_heads", defaults.heads);
  if (width % heads !== 0) throw json.wrong("num_attention_heads", `heads that share a width of ${width} evenly`);
  return {
    vocabSize: json.size("vocab_size", defaults.vocabSize, { max: 10_000_000 }),
    context: json.size("max_position_embeddings", defaults.context),
    width,
    depth: json.size("num_hidden_layers", 12, { max: 1000 }),
    heads,
    mlpWidth: json.size("intermediate_size", 4 * width),
    activation: json.choice("hidden_act", activations, defaults.activation),
    eps: json.number("layer_norm_eps", defaults.eps),
  };
};

/** `openai/clip-vit-base-patch32` and its kin: transformers' CLIPModel. */
export const huggingFaceCLIP: CLIPFormat = {
  name: "Hugging Face CLIP",
  config(json) {
    const text = json.at("text_config", { optional: true });
    const endId = text.size("eos_token_id", 49407, { min: 0, max: 10_000_000 });
    return {
      image: { kind: "vit", ...clipVision.config(json.at("vision_config", { optional: true })) },
      text: {
        ...textFields(text, {
          vocabSize: 49408,
          context: 77,
          width: 512,
          heads: 8,
          activation: "quick_gelu",
          eps: 1e-5,
        }),
        // Configurations written before July 2023 say 2, which is no id of the end: there the greatest id counts.
        ...(endId !== 2 && { endId }),
      },
      embed: json.size("projection_dim", 512),
      logitScale: json.number("logit_scale_init_value", 2.6592),
    };
  },
  map: (config) =>
    keyMap(
      "Hugging Face CLIP",
      [
        ...under("image", clipVision.rows(viTOf(config))),
        ["imageProjection.weight", "visual_projection.weight"],
        ...huggingFaceText,
        ["textProjection.weight", "text_projection.weight"],
        ["logitScale", "logit_scale"],
      ],
      { ignore: ["*.embeddings.position_ids"] },
    ),
};

/** `google/siglip-base-patch16-224` and its kin, SigLIP 2 of fixed size among them: transformers' SiglipModel. */
export const huggingFaceSigLIP: CLIPFormat = {
  name: "Hugging Face SigLIP",
  config(json) {
    const text = json.at("text_config", { optional: true });
    const image = siglipVision.config(json.at("vision_config", { optional: true }));
    const defaults = {
      vocabSize: 32000,
      context: 64,
      width: 768,
      heads: 12,
      activation: "gelu_pytorch_tanh",
      eps: 1e-6,
    };
    return {
      image: { kind: "vit", ...image },
      text: { ...textFields(text, defaults), causal: false, pool: "last" },
      embed: image.width,
      imageProjection: "none",
      textProjection: "biased",
      logitScale: Math.log(10),
      logitBias: -10,
    };
  },
  map: (config) =>
    keyMap(
      "Hugging Face SigLIP",
      [
        ...under("image", siglipVision.rows(viTOf(config))),
        ...huggingFaceText,
        ["textProjection.*", "text_model.head.*"],
        ["logitScale", reshape("logit_scale", [1])],
        ["logitBias", reshape("logit_bias", [1])],
      ],
      { ignore: ["*.embeddings.position_ids"] },
    ),
};

/** The parts that all of OpenCLIP's models share; `json` is the file's `model_cfg`. */
function openClipConfig(
  json: ConfigReader,
  image: ImageConfig,
  imageProjection: CLIPConfig["imageProjection"],
): PlainConfig {
  const text = json.at("text_cfg");
  if (text.has("hf_model_name")) throw text.wrong("hf_model_name", "no text tower of another library");
  text.only({ embed_cls: false, ls_init_value: null, block_type: "default", qk_norm: false, proj_type: "linear" });
  const width = text.size("width", 512);
  const heads = text.size("heads", 8);
  if (width % heads !== 0) throw text.wrong("heads", `heads that share a width of ${width} evenly`);
  const tanh = text.at("act_kwargs", { optional: true }).text("approximate", "none") === "tanh";
  const pool = text.choice("pool_type", { argmax: "end", eos: "end", last: "last" } as const, "argmax");
  return {
    image,
    text: {
      vocabSize: text.size("vocab_size", 49408, { max: 10_000_000 }),
      context: text.size("context_length", 77),
      width,
      depth: text.size("layers", 12, { max: 1000 }),
      heads,
      mlpWidth: Math.floor(width * text.number("mlp_ratio", 4)),
      activation: json.flag("quick_gelu", false) ? "quick-gelu" : tanh ? "gelu-tanh" : "gelu",
      eps: text.at("norm_kwargs", { optional: true }).number("eps", 1e-5),
      causal: !text.flag("no_causal_mask", false),
      pool,
      ...(text.text("pool_type", "argmax") === "eos" && { endId: text.size("eos_id", 2) }),
    },
    embed: json.size("embed_dim", 512),
    ...(imageProjection && { imageProjection }),
    textProjection: text.flag("proj_bias", false) ? "biased" : "linear",
    logitScale: json.number("init_logit_scale", Math.log(1 / 0.07)),
    ...(json.has("init_logit_bias") && { logitBias: json.number("init_logit_bias") }),
  };
}

const openClipMap = (
  name: string,
  image: readonly KeyRule[],
  config: PlainConfig,
  ignore: readonly string[] = [],
): KeyMap =>
  keyMap(
    name,
    [
      ...image,
      ["text.token.weight", "token_embedding.weight"],
      ["text.position", "positional_embedding"],
      ...under("text", openClipBlocks("transformer.")),
      ["text.norm.*", "ln_final.*"],
      // x·P there, and a linear layer where it has a bias.
      config.textProjection === "biased"
        ? ["textProjection.*", "text_projection.*"]
        : ["textProjection.weight", transpose("text_projection")],
      ["logitScale", "logit_scale"],
      ["logitBias", "logit_bias"],
    ],
    {
      ignore: ["attn_mask", "input_resolution", "context_length", "vocab_size", ...ignore],
      // Models with `custom_text` hold the text tower one level down.
      aliases: [
        "transformer.**",
        "token_embedding.**",
        "positional_embedding",
        "ln_final.**",
        "text_projection",
        "text_projection.**",
        "attn_mask",
      ].map((key) => [`text.${key}`, key] as const),
    },
  );

/** OpenAI's and OpenCLIP's models with a Vision Transformer. */
export const openClipViT: CLIPFormat = {
  name: "OpenCLIP",
  config: (json) => openClipConfig(json, { kind: "vit", ...openClipVision.config(json) }, "linear"),
  map: (config) => {
    const tower = under("image", openClipVision.rows(viTOf(config)));
    return openClipMap("OpenCLIP", [...tower, ["imageProjection.weight", transpose("visual.proj")]], config);
  },
};

/** OpenAI's and OpenCLIP's models with a ResNet. */
export const openClipRN: CLIPFormat = {
  name: "OpenCLIP with a ResNet",
  config(json) {
    const { embed, ...image } = resNetConfigFromOpenClip(json);
    return openClipConfig(json, { kind: "resnet", ...image }, "none");
  },
  map: (config) => openClipMap("OpenCLIP with a ResNet", under("image", openClipResNet), config, openClipResNetIgnore),
};

/** OpenCLIP's models around a Vision Transformer of timm, SigLIP among them. */
export const openClipTimm: CLIPFormat = {
  name: "OpenCLIP with a tower of timm",
  config(json) {
    const vision = json.at("vision_cfg");
    const pools = { "": "", avg: "avg", map: "map", token: "token" };
    const architecture = new ConfigReader(
      {
        architecture: vision.text("timm_model_name"),
        ...(vision.text("timm_pool", "avg") !== "" && { global_pool: vision.choice("timm_pool", pools, "avg") }),
        model_args: vision.has("image_size") ? { img_size: vision.json.image_size! } : {},
      },
      vision.where,
    );
    const linear = vision.flag("timm_proj_bias", false) ? "biased" : "linear";
    const projection = vision.choice("timm_proj", { linear, none: "none", "": "none" } as const, "linear");
    return openClipConfig(json, { kind: "vit", ...timmViT.config(architecture) }, projection);
  },
  map: (config) => {
    const tower = under("image", timmViT.rows(viTOf(config), "visual.trunk."));
    const name = "OpenCLIP with a tower of timm";
    return openClipMap(name, [...tower, ["imageProjection.*", "visual.head.proj.*"]], config);
  },
};

/** OpenCLIP's format for the image tower that a `model_cfg` asks for. */
export function openClipFormat(json: ConfigReader): CLIPFormat {
  const vision = json.at("vision_cfg");
  if (vision.has("timm_model_name")) return openClipTimm;
  return Array.isArray(vision.json.layers) ? openClipRN : openClipViT;
}
