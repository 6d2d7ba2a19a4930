import { VlmError } from "@vlm/core";
import {
  ConfigReader,
  identityMap,
  type KeyMap,
  type LoadOptions,
  load,
  type ModelSource,
  openIfThere,
  openSource,
  readJsonIfThere,
  type SourceLike,
} from "@vlm/weights";
import {
  type CLIPFormat,
  huggingFaceCLIP,
  huggingFaceSigLIP,
  openClipFormat,
  ownConfig,
  type PlainConfig,
} from "./checkpoint.ts";
import { CLIPModel } from "./clip-model.ts";
import { OWN } from "./save-format.ts";

/** What a folder says of its model. */
export type Description = {
  config: PlainConfig;
  map: KeyMap;
  /** Where the weights are, if not under one of the usual names. */
  file?: string;
  /** The whole of `open_clip_config.json`, where the model is described there. */
  openClip?: ConfigReader;
};

/**
 * The model of a checkpoint of CLIP or SigLIP: Hugging Face's, OpenCLIP's (ViT, ResNet, towers of timm), or one that
 * `saveCLIPModel` wrote. For tokenizer and preprocessing too, see `CLIP.load`.
 * Throws `WeightFormatError CONFIG_FAMILY` for other models, `ArgumentError CONFIG_FIELD` for settings that do not work,
 * `WeightMismatchError` for weights that do not fit.
 */
export async function loadCLIPModel(source: SourceLike, options: LoadOptions = {}): Promise<CLIPModel> {
  const folder = await openSource(source, options);
  return loadDescribed(folder, await describe(folder, options.signal), options);
}

/** The model that a description is of, with its weights. */
export async function loadDescribed(folder: ModelSource, found: Description, options: LoadOptions): Promise<CLIPModel> {
  const { config, map, file } = found;
  const model = new CLIPModel(config);
  await load(model, folder, map, { ...(file && { file }), ...options });
  return model;
}

const byModelType: Readonly<Record<string, CLIPFormat>> = { clip: huggingFaceCLIP, siglip: huggingFaceSigLIP };

/** Reads the configuration files of a folder; nothing of the weights. */
export async function describe(folder: ModelSource, signal?: AbortSignal): Promise<Description> {
  const json = await readJsonIfThere(folder, "config.json", { signal });
  const reader = json && new ConfigReader(json, `${folder.name}/config.json`);
  const type = reader?.text("model_type", "") ?? "";
  if (type === OWN) return { config: ownConfig(reader!.at("config")), map: identityMap };
  if (Object.hasOwn(byModelType, type)) return described(byModelType[type]!, reader!);
  const other = await readJsonIfThere(folder, "open_clip_config.json", { signal });
  if (!other) throw familyError(type, folder.name);
  const openClip = new ConfigReader(other, `${folder.name}/open_clip_config.json`);
  const model = openClip.at("model_cfg");
  const weights = await openIfThere(folder, "open_clip_model.safetensors", signal);
  await weights?.close?.();
  return {
    ...described(openClipFormat(model), model),
    openClip,
    ...(weights && { file: "open_clip_model.safetensors" }),
  };
}

function described(format: CLIPFormat, json: ConfigReader): Description {
  const config = format.config(json);
  return { config, map: format.map(config, json) };
}

const familyError = (type: string, where: string): VlmError =>
  new VlmError("WeightFormatError", "CONFIG_FAMILY", {
    what: `no CLIP or SigLIP: ${type === "" ? "there is no config.json that names a model" : `the model_type is "${type}"`}`,
    where,
    hint: /_(vision|text)_model$/.test(type)
      ? "this is one tower: loadViT of @vlm/vit loads those of images, loadTextTower those of texts"
      : `known are ${Object.keys(byModelType).join(", ")}, OpenCLIP's open_clip_config.json, and ${OWN}`,
    details: { type },
  });
