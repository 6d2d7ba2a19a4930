import { VlmError } from "@vlm/core";
import {
  ConfigReader,
  type FolderLike,
  identityMap,
  type KeyMap,
  keyMap,
  type LoadOptions,
  load,
  type ModelSource,
  openSource,
  readJsonIfThere,
  type Saved,
  type SaveOptions,
  type SourceLike,
  save,
} from "@vlm/weights";
import { clipVision, huggingFaceViT, openClipVision, siglipVision, type ViTFormat } from "./checkpoint.ts";
import { ownViT } from "./checkpoint-own.ts";
import { openClipTrunk, timmViT } from "./checkpoint-timm.ts";
import { ViT, type ViTConfig } from "./vit.ts";

/** A Vision Transformer with fresh weights. */
export const createViT = (config: ViTConfig): ViT => new ViT(config);

/**
 * Loads a Vision Transformer from a folder, a Hub id or a URL: checkpoints of Hugging Face ViT, of timm, and of
 * `saveViT`; of CLIP and SigLIP (Hugging Face or OpenCLIP) the image tower without its projection.
 * Throws `WeightFormatError CONFIG_FAMILY` for models of other families, `ArgumentError CONFIG_FIELD` for settings that
 * do not work, and what `load` of @vlm/weights throws.
 */
export async function loadViT(source: SourceLike, options: LoadOptions = {}): Promise<ViT> {
  const folder = await openSource(source, options);
  const { config, map, file } = await describe(folder, options.signal);
  const model = new ViT(config);
  await load(model, folder, map, { ...(file && { file }), ...options });
  return model;
}

/** Writes `model.safetensors` and `config.json`, which `loadViT` reads. Throws `ArgumentError` for an own activation. */
export async function saveViT(model: ViT, folder: FolderLike, options: SaveOptions = {}): Promise<Saved> {
  const { config } = model;
  if (typeof config.activation === "function") {
    throw new VlmError("ArgumentError", "ACTIVATION", {
      what: "saveViT: an activation of one's own cannot be written to config.json",
      hint: "save the weights alone: save(model, folder) of @vlm/weights",
    });
  }
  const files = { "config.json": { model_type: OWN, config }, ...options.files };
  return save(model, folder, identityMap, { ...options, files });
}

const OWN = "vlm-vit";

/** Formats by the `model_type` of config.json, and the field that holds the image tower's part. */
const byModelType: Readonly<Record<string, readonly [ViTFormat, inside?: string]>> = {
  vit: [huggingFaceViT],
  clip: [clipVision, "vision_config"],
  clip_vision_model: [clipVision],
  siglip: [siglipVision, "vision_config"],
  siglip_vision_model: [siglipVision],
};

/** What a folder holds: the configuration, the names in its weights, and their file where it is not the usual one. */
async function describe(
  folder: ModelSource,
  signal: AbortSignal | undefined,
): Promise<{ config: ViTConfig; map: KeyMap; file?: string }> {
  const json = await readJsonIfThere(folder, "config.json", { signal });
  const read = (format: ViTFormat, reader: ConfigReader): { config: ViTConfig; map: KeyMap } => {
    const config = format.config(reader);
    const { name, ignore, aliases = [] } = format;
    return { config, map: keyMap(name, format.rows(config), { ignore, aliases }) };
  };
  if (json) {
    const reader = new ConfigReader(json, `${folder.name}/config.json`);
    const type = reader.text("model_type", "");
    if (type === OWN) return { config: ownViT(reader.at("config")), map: identityMap };
    if (Object.hasOwn(byModelType, type)) {
      const [format, inside] = byModelType[type]!;
      // A tower of its own may carry the whole model's configuration or just its own.
      return read(format, inside && reader.has(inside) ? reader.at(inside) : reader);
    }
    if (reader.text("architecture", "") !== "") return read(timmViT, reader);
    if (type !== "") throw familyError(type, reader.where);
  }
  const openClip = await readJsonIfThere(folder, "open_clip_config.json", { signal });
  if (openClip) {
    const reader = new ConfigReader(openClip, `${folder.name}/open_clip_config.json`).at("model_cfg");
    const format = reader.at("vision_cfg").has("timm_model_name") ? openClipTrunk : openClipVision;
    return { ...read(format, reader), file: "open_clip_model.safetensors" };
  }
  throw familyError("unknown", folder.name);
}

const familyError = (type: string, where: string): VlmError =>
  new VlmError("WeightFormatError", "CONFIG_FAMILY", {
    what: `no Vision Transformer: the model_type is "${type}"`,
    where,
    hint: `known are ${Object.keys(byModelType).join(", ")}, timm's and OpenCLIP's configurations, and ${OWN}`,
    details: { type },
  });
