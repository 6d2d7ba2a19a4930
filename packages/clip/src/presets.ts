import { type ResNetConfig, RN50, RN50x4, RN50x16, RN50x64, RN101 } from "@vlm/resnet";
import { viTSizes } from "@vlm/vit";
import type { CLIPConfig } from "./clip-model.ts";
import type { TextConfig } from "./text-tower.ts";

/** OpenAI's vocabulary of 49,408 pieces and texts of 77 (section 2.4). */
const clipText = { vocabSize: 49408, context: 77, depth: 12 } as const;

/** OpenAI's models, all with quick-gelu (table 19 of the paper and their checkpoints). */
const openAI = (
  image: { imageSize: number; patchSize: number } & (typeof viTSizes)["B" | "L"],
  embed: number,
): CLIPConfig => ({
  image: { kind: "vit", ...image, activation: "quick-gelu" },
  text: { ...clipText, width: embed, heads: embed / 64, activation: "quick-gelu" },
  embed,
});

const openAIResNet = ({ embed, ...image }: ResNetConfig, width: number): CLIPConfig => ({
  image: { kind: "resnet", ...image },
  text: { ...clipText, width, heads: width / 64, activation: "quick-gelu" },
  embed,
});

/** 151.3 M parameters. */
export const CLIP_B32: CLIPConfig = openAI({ imageSize: 224, patchSize: 32, ...viTSizes.B }, 512);
/** 149.6 M parameters. */
export const CLIP_B16: CLIPConfig = openAI({ imageSize: 224, patchSize: 16, ...viTSizes.B }, 512);
/** 427.6 M parameters. */
export const CLIP_L14: CLIPConfig = openAI({ imageSize: 224, patchSize: 14, ...viTSizes.L }, 768);
/** 427.9 M parameters. */
export const CLIP_L14_336: CLIPConfig = openAI({ imageSize: 336, patchSize: 14, ...viTSizes.L }, 768);

/** 102.0 M parameters. */
export const CLIP_RN50: CLIPConfig = openAIResNet(RN50, 512);
/** 119.7 M parameters. */
export const CLIP_RN101: CLIPConfig = openAIResNet(RN101, 512);
/** 178.3 M parameters. */
export const CLIP_RN50x4: CLIPConfig = openAIResNet(RN50x4, 640);
/** 291.0 M parameters. */
export const CLIP_RN50x16: CLIPConfig = openAIResNet(RN50x16, 768);
/** 623.3 M parameters. */
export const CLIP_RN50x64: CLIPConfig = openAIResNet(RN50x64, 1024);

/** LAION's larger models, trained with the exact GELU (OpenCLIP's configurations). */
const laion = (size: "H" | "g" | "bigG", text: Pick<TextConfig, "width" | "heads" | "depth">): CLIPConfig => ({
  image: { kind: "vit", imageSize: 224, patchSize: 14, ...viTSizes[size] },
  text: { ...clipText, ...text },
  embed: text.width,
});

/** 986.1 M parameters. */
export const CLIP_H14: CLIPConfig = laion("H", { width: 1024, heads: 16, depth: 24 });
/** 1366.7 M parameters. */
export const CLIP_g14: CLIPConfig = laion("g", { width: 1024, heads: 16, depth: 24 });
/** 2539.6 M parameters. */
export const CLIP_bigG14: CLIPConfig = laion("bigG", { width: 1280, heads: 20, depth: 32 });

/** Google's SigLIP (Zhai et al. 2023, section 4; configurations of the checkpoints). */
const siglip = (size: "B" | "L" | "so400m", patchSize: number, imageSize: number): CLIPConfig => {
  const shared = { ...viTSizes[size], activation: "gelu-tanh", eps: 1e-6 } as const;
  return {
    image: {
      kind: "vit",
      ...shared,
      imageSize,
      patchSize,
      pool: "map",
      preNorm: false,
      finalNorm: "tokens",
      patchBias: true,
      remainder: "crop",
    },
    text: { ...shared, vocabSize: 32000, context: 64, causal: false, pool: "last" },
    embed: shared.width,
    imageProjection: "none",
    textProjection: "biased",
    logitScale: Math.log(10),
    logitBias: -10,
  };
};

/** 203.2 M parameters. */
export const SigLIP_B16_224: CLIPConfig = siglip("B", 16, 224);
/** SigLIP ViT-B/16 for 256 × 256 pixels (Zhai et al. 2023). */
export const SigLIP_B16_256: CLIPConfig = siglip("B", 16, 256);
/** SigLIP ViT-B/16 for 384 × 384 pixels. */
export const SigLIP_B16_384: CLIPConfig = siglip("B", 16, 384);
/** SigLIP ViT-B/16 for 512 × 512 pixels. */
export const SigLIP_B16_512: CLIPConfig = siglip("B", 16, 512);
/** SigLIP ViT-L/16 for 256 × 256 pixels. */
export const SigLIP_L16_256: CLIPConfig = siglip("L", 16, 256);
/** SigLIP ViT-L/16 for 384 × 384 pixels. */
export const SigLIP_L16_384: CLIPConfig = siglip("L", 16, 384);
/** 878.0 M parameters. */
export const SigLIP_so400m_384: CLIPConfig = siglip("so400m", 14, 384);
