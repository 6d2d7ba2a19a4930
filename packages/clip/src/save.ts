import { type FolderLike, type Saved, type SaveOptions, save } from "@vlm/weights";
import type { CLIPModel } from "./clip-model.ts";
import { saveFormatOf } from "./save-format.ts";

/**
 * Writes weights and configuration in the form of the library that has this model: Hugging Face's for CLIP and SigLIP,
 * OpenCLIP's for ResNets; in our own form for the rest. `CLIP.save` adds tokenizer and preprocessing.
 */
export async function saveCLIPModel(model: CLIPModel, folder: FolderLike, options: SaveOptions = {}): Promise<Saved> {
  const { map, configFile, config, weights } = saveFormatOf(model.config);
  return save(model, folder, map, { name: weights, ...options, files: { [configFile]: config, ...options.files } });
}
