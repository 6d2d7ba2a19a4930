export { type ClipLossOptions, clipLoss } from "./clip-loss.ts";
export { normalize, type Scalar } from "./embeddings.ts";
export { type GradientCacheOptions, gradientCache } from "./gradient-cache.ts";
export { binaryNCE, type InfoNceOptions, infoNCE, ntXent } from "./info-nce.ts";
export { multiPositiveLoss, supervisedContrastive } from "./positives.ts";
export { type SiglipLossOptions, siglipLoss } from "./siglip-loss.ts";
