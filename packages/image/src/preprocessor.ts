import type { CropRounding } from "./crop.ts";
import type { Filter } from "./resample.ts";

/** The size an image is resized to. */
export type TargetSize =
  /** Exactly this size; the aspect ratio changes ("squash"). */
  | { kind: "exact"; height: number; width: number }
  /** The shorter side becomes `size`; the longer keeps the ratio, rounded down, and stays within `longest`. */
  | { kind: "shortest"; size: number; longest?: number }
  /** The largest size with the same ratio that fits. */
  | { kind: "within"; height: number; width: number };

/** What a model does to an image before looking at it. Steps happen in the order of the fields. */
export type Preprocessor = {
  resize?: TargetSize;
  filter: Filter;
  /** The middle of the resized image. */
  crop?: { height: number; width: number };
  /** How a crop's offset is rounded; default "down", as Hugging Face does. */
  cropRounding?: CropRounding;
  /** Pixels are multiplied by this, usually 1/255. */
  rescale?: number;
  /** Then `(x - mean) / std` for each channel. */
  normalize?: { mean: readonly number[]; std: readonly number[] };
  /** At the end zeros are added on the right and at the bottom up to this size. */
  pad?: { height: number; width: number };
  /**
   * Whose arithmetic: "pillow" (default), with which the checkpoints were trained, or "torchvision", the tensor path
   * ("fast" processors) of Hugging Face. They differ by at most a level on some pixels.
   */
  like?: "pillow" | "torchvision";
};

/** Means and deviations of OpenAI's CLIP data set (clip/clip.py). */
export const clipNormalization = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;

/** Means and deviations of ImageNet-1k (torchvision). */
export const imagenetNormalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** Maps 0..1 to -1..1. */
export const symmetricNormalization = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;

/** CLIP at 224 pixels: shortest side to 224, bicubic, centre crop (Radford et al. 2021; `CLIPImageProcessor`). */
export const clipPreprocessor = {
  resize: { kind: "shortest", size: 224 },
  filter: "bicubic",
  crop: { height: 224, width: 224 },
  rescale: 1 / 255,
  normalize: clipNormalization,
} as const satisfies Preprocessor;

/** SigLIP B/16 at 224 pixels: squashed, bicubic (`google/siglip-base-patch16-224`). */
export const siglipPreprocessor = {
  resize: { kind: "exact", height: 224, width: 224 },
  filter: "bicubic",
  rescale: 1 / 255,
  normalize: symmetricNormalization,
} as const satisfies Preprocessor;

/** ViT B/16 at 224 pixels: squashed, bilinear (`google/vit-base-patch16-224`). */
export const vitPreprocessor = {
  resize: { kind: "exact", height: 224, width: 224 },
  filter: "bilinear",
  rescale: 1 / 255,
  normalize: symmetricNormalization,
} as const satisfies Preprocessor;

/** BLIP-2 at 224 pixels: squashed, bicubic, CLIP's normalisation (`Salesforce/blip2-opt-2.7b`). */
export const blip2Preprocessor = {
  resize: { kind: "exact", height: 224, width: 224 },
  filter: "bicubic",
  rescale: 1 / 255,
  normalize: clipNormalization,
} as const satisfies Preprocessor;
