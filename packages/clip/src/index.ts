export { attentionMap } from "./attention-map.ts";
export type { Classification, PromptOptions, Ranking, Template } from "./classifier.ts";
export {
  CLIP,
  type CLIPOptions,
  type CLIPParts,
  type Classifier,
  type ClassifyOptions,
  type ImageInput,
  type RunOptions,
} from "./clip.ts";
export {
  type CLIPConfig,
  CLIPModel,
  createCLIP,
  type ImageConfig,
  type ImageEncoder,
  type Projection,
  type TextEncoder,
} from "./clip-model.ts";
export { EmbeddingIndex, type Hit, type SearchOptions } from "./embedding-index.ts";
export { loadCLIPModel } from "./load.ts";
export { loadTextTower } from "./load-text.ts";
export {
  CLIP_B16,
  CLIP_B32,
  CLIP_bigG14,
  CLIP_g14,
  CLIP_H14,
  CLIP_L14,
  CLIP_L14_336,
  CLIP_RN50,
  CLIP_RN50x4,
  CLIP_RN50x16,
  CLIP_RN50x64,
  CLIP_RN101,
  SigLIP_B16_224,
  SigLIP_B16_256,
  SigLIP_B16_384,
  SigLIP_B16_512,
  SigLIP_L16_256,
  SigLIP_L16_384,
  SigLIP_so400m_384,
} from "./presets.ts";
export { saveCLIPModel } from "./save.ts";
export type { Cleaning, TextOptions } from "./text-input.ts";
export { type TextConfig, TextTower } from "./text-tower.ts";
