export { type AttentionMaps, attentionMaps, attentionRollout, attentionWeights } from "./attention-maps.ts";
export {
  activations,
  clipVision,
  huggingFaceBlocks,
  huggingFaceViT,
  openClipBlocks,
  openClipGelu,
  openClipVision,
  siglipVision,
  type ViTFormat,
} from "./checkpoint.ts";
export { activationNames, checkFields, ownViT } from "./checkpoint-own.ts";
export { openClipTrunk, timmViT } from "./checkpoint-timm.ts";
export { createViT, loadViT, saveViT } from "./load.ts";
export { type Interpolation, resizePositions, sinCosPositions } from "./positions.ts";
export {
  AttentionPool,
  ViT,
  ViT_B16,
  ViT_B32,
  ViT_bigG14,
  ViT_g14,
  ViT_H14,
  ViT_L16,
  ViT_S16,
  ViT_Ti16,
  type ViTConfig,
  viTSizes,
} from "./vit.ts";
