import { VlmError } from "@vlm/core";
import { ConfigReader, type LoadOptions, load, openSource, readJson, type SourceLike } from "@vlm/weights";
import { clipText, huggingFaceTextMap, partOf, siglipText } from "./checkpoint.ts";
import { type TextConfig, TextTower } from "./text-tower.ts";

/** Configurations of text towers by the `model_type` of config.json, and the field that a whole model holds it in. */
const byModelType: Readonly<Record<string, readonly [read: (json: ConfigReader) => TextConfig, inside?: string]>> = {
  clip: [clipText, "text_config"],
  clip_text_model: [clipText],
  siglip: [siglipText, "text_config"],
  siglip_text_model: [siglipText],
};

/**
 * The text tower of a Hugging Face CLIP or SigLIP, whole or in a checkpoint of its own (CLIPTextModel,
 * CLIPTextModelWithProjection, SiglipTextModel), without its projection: `tower.tokens(ids)` is the last hidden state.
 * Throws `WeightFormatError CONFIG_FAMILY` for other models, `ArgumentError CONFIG_FIELD` for settings that do not work,
 * and what `load` of @vlm/weights throws. For the image tower alone see `loadViT` of @vlm/vit.
 */
export async function loadTextTower(source: SourceLike, options: LoadOptions = {}): Promise<TextTower> {
  const folder = await openSource(source, options);
  const json = new ConfigReader(
    await readJson(folder, "config.json", { signal: options.signal }),
    `${folder.name}/config.json`,
  );
  const type = json.text("model_type", "");
  if (!Object.hasOwn(byModelType, type)) {
    throw new VlmError("WeightFormatError", "CONFIG_FAMILY", {
      what: `no text tower of CLIP or SigLIP: the model_type is "${type}"`,
      where: json.where,
      hint: `known are ${Object.keys(byModelType).join(", ")}`,
      details: { type },
    });
  }
  const [read, inside] = byModelType[type]!;
  const tower = new TextTower(read(inside ? partOf(json, inside) : json));
  await load(tower, folder, huggingFaceTextMap, options);
  return tower;
}
