/** The form in which a model is saved: that of the library whose own code can open it. */
import { VlmError } from "@vlm/core";
import { clipNormalization } from "@vlm/image";
import { type Activation, Module } from "@vlm/nn";
import { activations, type ViTConfig } from "@vlm/vit";
import { ConfigReader, identityMap, type JsonValue, type KeyMap } from "@vlm/weights";
import { type CLIPFormat, huggingFaceCLIP, huggingFaceSigLIP, openClipRN, type PlainConfig } from "./checkpoint.ts";
import type { CLIPConfig } from "./clip-model.ts";

type Json = { [key: string]: JsonValue };

/** What is written beside the weights, and the weights' names. */
export type SaveFormat = { map: KeyMap; configFile: string; config: Json; weights: string };

/** `model_type` of configurations in our own form, for models that no other library has. */
export const OWN = "vlm-clip";

/**
 * Hugging Face's form where the model is CLIP's or SigLIP's, OpenCLIP's for a ResNet, else our own. A model has a
 * library's form when its configuration comes back the same from that library's.
 */
export function saveFormatOf(config: CLIPConfig): SaveFormat {
  if (!isPlain(config)) {
    throw new VlmError("ArgumentError", "OWN_ENCODER", {
      what: "save: the model has an encoder of your own, which config.json cannot describe",
      hint: "save the weights alone: save(model, folder) of @vlm/weights, and load them into a model you made",
    });
  }
  const forms: [
    CLIPFormat,
    (config: PlainConfig) => Json,
    configFile: string,
    inside: string | null,
    weights: string,
  ][] = [
    [huggingFaceCLIP, asHuggingFaceCLIP, "config.json", null, "model"],
    [huggingFaceSigLIP, asHuggingFaceSigLIP, "config.json", null, "model"],
    [openClipRN, asOpenClip, "open_clip_config.json", "model_cfg", "open_clip_model"],
  ];
  for (const [format, write, configFile, inside, weights] of forms) {
    const json = write(config);
    const reader = new ConfigReader(json, configFile);
    if (sameModel(config, () => format.config(inside ? reader.at(inside) : reader))) {
      return { map: format.map(config), configFile, config: json, weights };
    }
  }
  const own = JSON.parse(JSON.stringify(config)) as Json;
  return { map: identityMap, configFile: "config.json", config: { model_type: OWN, config: own }, weights: "model" };
}

/** True for a configuration without encoders of one's own: it can be written down. */
const isPlain = (config: CLIPConfig): config is PlainConfig =>
  !(config.image instanceof Module) && !(config.text instanceof Module);

/** True where both configurations describe one network; what only matters in training is left out. */
function sameModel(config: PlainConfig, read: () => PlainConfig): boolean {
  try {
    return JSON.stringify(resolved(config)) === JSON.stringify(resolved(read()));
  } catch {
    return false; // a field that this form has no word for
  }
}

function resolved({ image, text, embed, imageProjection, textProjection, logitBias }: PlainConfig): unknown {
  const tower =
    image.kind === "resnet"
      ? [image.imageSize, image.width, image.layers, image.heads ?? image.width / 2]
      : resolvedViT(image);
  const { vocabSize, context, width, depth, heads, mlpWidth = 4 * width, activation = "gelu", eps = 1e-5 } = text;
  const { causal = true, pool = "end", endId = null } = text;
  return [
    image.kind,
    tower,
    [vocabSize, context, width, depth, heads, mlpWidth, activation, eps, causal, pool, endId],
    [embed, imageProjection ?? (image.kind === "vit" ? "linear" : "none"), textProjection ?? "linear"],
    logitBias !== undefined,
  ];
}

function resolvedViT(config: ViTConfig): unknown {
  const { imageSize, patchSize, width, depth, heads, mlpWidth = 4 * width, channels = 3, activation = "gelu" } = config;
  const { eps = 1e-6, pool = "class", classToken = pool === "class", preNorm = false, finalNorm = "tokens" } = config;
  const { patchBias = true, positions = "learned", classes = 0 } = config;
  const sizes = [imageSize, patchSize, width, depth, heads, mlpWidth, channels, activation, eps];
  return [sizes, pool, classToken, preNorm, finalNorm, patchBias, positions, classes];
}

/** transformers' name of an activation; a function has none and is refused when the form is read back. */
const nameOf = (activation: Activation = "gelu"): string =>
  Object.keys(activations).find((name) => name !== "gelu_new" && activations[name] === activation) ?? "own";

const visionFields = (config: ViTConfig): Json => ({
  hidden_size: config.width,
  intermediate_size: config.mlpWidth ?? 4 * config.width,
  num_hidden_layers: config.depth,
  num_attention_heads: config.heads,
  num_channels: config.channels ?? 3,
  image_size: config.imageSize as number,
  patch_size: config.patchSize,
  hidden_act: nameOf(config.activation),
  layer_norm_eps: config.eps ?? 1e-6,
});

const textFields = ({ text }: PlainConfig): Json => ({
  hidden_size: text.width,
  intermediate_size: text.mlpWidth ?? 4 * text.width,
  num_hidden_layers: text.depth,
  num_attention_heads: text.heads,
  vocab_size: text.vocabSize,
  max_position_embeddings: text.context,
  hidden_act: nameOf(text.activation),
  layer_norm_eps: text.eps ?? 1e-5,
});

function asHuggingFaceCLIP(config: PlainConfig): Json {
  const { text, embed } = config;
  return {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim: embed,
    logit_scale_init_value: config.logitScale ?? 2.6592,
    vision_config: {
      model_type: "clip_vision_model",
      ...visionFields(config.image as ViTConfig),
      projection_dim: embed,
    },
    text_config: {
      model_type: "clip_text_model",
      ...textFields(config),
      projection_dim: embed,
      // 2 tells transformers to look for the greatest id.
      bos_token_id: text.endId === undefined ? 0 : text.vocabSize - 2,
      eos_token_id: text.endId ?? 2,
      pad_token_id: text.endId ?? 1,
    },
  };
}

const asHuggingFaceSigLIP = (config: PlainConfig): Json => ({
  architectures: ["SiglipModel"],
  model_type: "siglip",
  vision_config: { model_type: "siglip_vision_model", ...visionFields(config.image as ViTConfig) },
  text_config: { model_type: "siglip_text_model", ...textFields(config), projection_size: config.embed },
});

function asOpenClip({ image, text, embed }: PlainConfig): Json {
  if (image.kind !== "resnet") return {};
  const { imageSize, width, layers, heads = width / 2 } = image;
  return {
    model_cfg: {
      embed_dim: embed,
      quick_gelu: text.activation === "quick-gelu",
      vision_cfg: {
        image_size: imageSize,
        layers: [...layers],
        width,
        head_width: (32 * width) / heads,
        patch_size: null,
      },
      text_cfg: {
        context_length: text.context,
        vocab_size: text.vocabSize,
        width: text.width,
        heads: text.heads,
        layers: text.depth,
        mlp_ratio: (text.mlpWidth ?? 4 * text.width) / text.width,
      },
    },
    preprocess_cfg: { mean: [...clipNormalization.mean], std: [...clipNormalization.std] },
  };
}
