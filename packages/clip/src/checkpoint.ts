/** The names of checkpoint families for our parameters, and their configurations for ours. Left: ours. Right: theirs. */
import { openClipResNet, openClipResNetIgnore, resNetConfigFromOpenClip } from "@vlm/resnet";
import {
  activationNames,
  activations,
  checkFields,
  clipVision,
  huggingFaceBlocks,
  openClipBlocks,
  openClipGelu,
  openClipTrunk,
  openClipVision,
  ownViT,
  siglipVision,
  type ViTConfig,
} from "@vlm/vit";
import { ConfigReader, type KeyExpression, type KeyMap, type KeyRule, keyMap, reshape, transpose } from "@vlm/weights";
import type { CLIPConfig, ImageConfig } from "./clip-model.ts";
import type { TextConfig } from "./text-tower.ts";

/** A configuration of parts that can be written down: no encoders of one's own. */
export type PlainConfig = CLIPConfig & { image: ImageConfig; text: TextConfig };

/** A family of checkpoints. */
export type CLIPFormat = {
  readonly name: string;
  /** Our configuration from theirs. Throws `ArgumentError CONFIG_FIELD`. */
  config(json: ConfigReader): PlainConfig;
  /** The names in its weights; `json` where they depend on what our configuration does not say. */
  map(config: PlainConfig, json?: ConfigReader): KeyMap;
};

const under = (module: string, rows: readonly KeyRule[]): KeyRule[] =>
  rows.map(([parameter, from]) => [`${module}.${parameter}`, from]);

/** The image tower's configuration as a ViT's; the maps below that use it are those of ViTs. */
const viTOf = (config: PlainConfig): ViTConfig => config.image as ViTConfig;

/** transformers' text towers, without the projection. */
const huggingFaceText: readonly KeyRule[] = [
  ["token.weight", "text_model.embeddings.token_embedding.weight"],
  ["position", "text_model.embeddings.position_embedding.weight"],
  ...huggingFaceBlocks("text_model"),
  ["norm.*", "text_model.final_layer_norm.*"],
];

/** A text tower alone, of a whole model or in a checkpoint of its own (which transformers 5 saves without the prefix). */
export const huggingFaceTextMap: KeyMap = keyMap("Hugging Face text tower", huggingFaceText, {
  ignore: ["*.embeddings.position_ids", "vision_model.**", "*_projection.weight", "logit_*", "text_model.head.*"],
  aliases: ["embeddings", "encoder", "final_layer_norm", "head"].map(
    (name) => [`${name}.**`, `text_model.${name}.**`] as const,
  ),
});

/**
 * A part of transformers' configurations. Those of 2022 and before may have it twice, `text_config` and
 * `text_config_dict`; the second one's fields count.
 */
export function partOf(json: ConfigReader, name: string): ConfigReader {
  const [now, before] = [json.at(name, { optional: true }), json.at(`${name}_dict`, { optional: true })];
  return new ConfigReader({ ...now.json, ...before.json }, now.where);
}

/** The fields of a text tower in transformers' configurations. */
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

/** transformers' CLIPTextModel. */
export function clipText(json: ConfigReader): TextConfig {
  const sizes = { vocabSize: 49408, context: 77, width: 512, heads: 8 };
  const endId = json.size("eos_token_id", 49407, { min: 0, max: 10_000_000 });
  return {
    ...textFields(json, { ...sizes, activation: "quick_gelu", eps: 1e-5 }),
    // Configurations written before July 2023 say 2, which is no id of the end: there the greatest id counts.
    ...(endId !== 2 && { endId }),
  };
}

/** transformers' SiglipTextModel, without its head. */
export function siglipText(json: ConfigReader): TextConfig {
  const sizes = { vocabSize: 32000, context: 64, width: 768, heads: 12 };
  const fields = textFields(json, { ...sizes, activation: "gelu_pytorch_tanh", eps: 1e-6 });
  return { ...fields, causal: false, pool: "last" };
}

/** `openai/clip-vit-base-patch32` and its kin: transformers' CLIPModel. */
export const huggingFaceCLIP: CLIPFormat = {
  name: "Hugging Face CLIP",
  config(json) {
    return {
      image: { kind: "vit", ...clipVision.config(partOf(json, "vision_config")) },
      text: clipText(partOf(json, "text_config")),
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
        ...under("text", huggingFaceText),
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
    const text = partOf(json, "text_config");
    const image = siglipVision.config(partOf(json, "vision_config"));
    if (text.size("projection_size", image.width) !== image.width) {
      throw text.wrong("projection_size", `the image tower's width, ${image.width}`);
    }
    return {
      image: { kind: "vit", ...image },
      text: siglipText(text),
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
        ...under("text", huggingFaceText),
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
  text.only({ embed_cls: false, ls_init_value: null, block_type: "default", qk_norm: false });
  const width = text.size("width", 512);
  const heads = text.size("heads", 8);
  if (width % heads !== 0) throw text.wrong("heads", `heads that share a width of ${width} evenly`);
  const linear = text.flag("proj_bias", false) ? "biased" : "linear";
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
      activation: json.flag("quick_gelu", false) ? "quick-gelu" : openClipGelu(text),
      eps: text.at("norm_kwargs", { optional: true }).number("eps", 1e-5),
      causal: !text.flag("no_causal_mask", false),
      pool,
      ...(text.text("pool_type", "argmax") === "eos" && { endId: text.size("eos_id", 2) }),
    },
    embed: json.size("embed_dim", 512),
    ...(imageProjection && { imageProjection }),
    textProjection: text.choice("proj_type", { linear, none: "none" } as const, "linear"),
    logitScale: json.number("init_logit_scale", Math.log(1 / 0.07)),
    ...(json.has("init_logit_bias") && { logitBias: json.number("init_logit_bias") }),
  };
}

const openClipMap = (
  name: string,
  image: readonly KeyRule[],
  config: PlainConfig,
  json: ConfigReader | undefined,
  ignore: readonly string[] = [],
): KeyMap => {
  const isVector = json?.flag("nonscalar_logit_scale", false) ?? false;
  const scalar = (key: string): KeyExpression => (isVector ? reshape(key, [1]) : key);
  return keyMap(
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
      ["logitScale", scalar("logit_scale")],
      ["logitBias", scalar("logit_bias")],
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
};

/** OpenAI's and OpenCLIP's models with a Vision Transformer. */
export const openClipViT: CLIPFormat = {
  name: "OpenCLIP",
  config: (json) => openClipConfig(json, { kind: "vit", ...openClipVision.config(json) }, "linear"),
  map: (config, json) => {
    const tower = under("image", openClipVision.rows(viTOf(config)));
    const ignore = ["visual.positional_embedding"]; // a fixed table, where it is not learned
    return openClipMap(
      "OpenCLIP",
      [...tower, ["imageProjection.weight", transpose("visual.proj")]],
      config,
      json,
      ignore,
    );
  },
};

/** OpenAI's and OpenCLIP's models with a ResNet. */
export const openClipRN: CLIPFormat = {
  name: "OpenCLIP with a ResNet",
  config(json) {
    const { embed, ...image } = resNetConfigFromOpenClip(json);
    return openClipConfig(json, { kind: "resnet", ...image }, "none");
  },
  map: (config, json) =>
    openClipMap("OpenCLIP with a ResNet", under("image", openClipResNet), config, json, openClipResNetIgnore),
};

/** OpenCLIP's models around a Vision Transformer of timm, SigLIP among them. */
export const openClipTimm: CLIPFormat = {
  name: "OpenCLIP with a tower of timm",
  config(json) {
    const vision = json.at("vision_cfg");
    const linear = vision.flag("timm_proj_bias", false) ? "biased" : "linear";
    const projection = vision.choice("timm_proj", { linear, none: "none", "": "none" } as const, "linear");
    return openClipConfig(json, { kind: "vit", ...openClipTrunk.config(json) }, projection);
  },
  map: (config, json) => {
    const tower = under("image", openClipTrunk.rows(viTOf(config)));
    const name = "OpenCLIP with a tower of timm";
    return openClipMap(name, [...tower, ["imageProjection.*", "visual.head.proj.*"]], config, json);
  },
};

/** Our own configuration, as `saveCLIPModel` writes it. Throws `ArgumentError CONFIG_FIELD`. */
export function ownConfig(json: ConfigReader): PlainConfig {
  const image = json.at("image");
  if (image.choice("kind", { vit: true, resnet: false })) ownViT(image);
  else {
    for (const name of ["imageSize", "width"]) image.size(name);
    if (image.numbers("layers").length !== 4) throw image.wrong("layers", "the blocks of four stages");
  }
  const text = json.at("text");
  for (const name of ["vocabSize", "context", "width", "depth", "heads"])
    text.size(name, undefined, { max: 10_000_000 });
  checkFields(text, { mlpWidth: "size", endId: "size", eps: "number", causal: "flag", activation: activationNames });
  checkFields(text, { pool: ["end", "last"] });
  json.size("embed");
  const projections = ["linear", "biased", "none"];
  checkFields(json, { imageProjection: projections, textProjection: projections });
  checkFields(json, { logitScale: "number", logitBias: "number" });
  return json.json as unknown as PlainConfig;
}

/** OpenCLIP's format for the image tower that a `model_cfg` asks for. */
export function openClipFormat(json: ConfigReader): CLIPFormat {
  if (json.has("multimodal_cfg")) {
    throw json.wrong("multimodal_cfg", "none: CoCa, which writes captions, is another model");
  }
  const vision = json.at("vision_cfg");
  if (vision.has("timm_model_name")) return openClipTimm;
  return Array.isArray(vision.json.layers) ? openClipRN : openClipViT;
}
