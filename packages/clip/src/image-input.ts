import {
  clipNormalization,
  type Filter,
  type Preprocessor,
  preprocessorFromConfig,
  symmetricNormalization,
} from "@vlm/image";
import { type ConfigReader, type JsonValue, type ModelSource, readJsonIfThere } from "@vlm/weights";
import type { PlainConfig } from "./checkpoint.ts";

/** A model's preprocessing: what its files say, else its family's. */
export async function readPreprocessor(
  folder: ModelSource,
  config: PlainConfig,
  openClip: ConfigReader | undefined,
  signal?: AbortSignal,
): Promise<Preprocessor> {
  const json = await readJsonIfThere(folder, "preprocessor_config.json", { signal });
  if (json) return preprocessorFromConfig(json, `${folder.name}/preprocessor_config.json`);
  // transformers 5 saves a processor's parts in one file.
  const all = await readJsonIfThere(folder, "processor_config.json", { signal });
  if (all?.image_processor) return preprocessorFromConfig(all.image_processor, `${folder.name}/processor_config.json`);
  return openClip ? fromOpenClip(config, openClip) : defaultPreprocessor(config);
}

/** CLIP cuts the middle of the shorter side's square, SigLIP squashes. */
export function defaultPreprocessor({ image, logitBias }: PlainConfig): Preprocessor {
  const [height, width] = typeof image.imageSize === "number" ? [image.imageSize, image.imageSize] : image.imageSize;
  if (logitBias !== undefined) {
    const resize = { kind: "exact", height, width } as const;
    return { resize, filter: "bicubic", rescale: 1 / 255, normalize: symmetricNormalization };
  }
  return {
    resize: { kind: "shortest", size: Math.min(height, width) },
    filter: "bicubic",
    crop: { height, width },
    rescale: 1 / 255,
    normalize: clipNormalization,
  };
}

/** OpenCLIP's `preprocess_cfg`; its crops are torchvision's. */
function fromOpenClip(config: PlainConfig, openClip: ConfigReader): Preprocessor {
  const json = openClip.at("preprocess_cfg", { optional: true });
  const base = defaultPreprocessor({ ...config, logitBias: undefined as never });
  const { height, width } = base.crop!;
  const filters: Record<string, Filter> = { bicubic: "bicubic", bilinear: "bilinear", random: "bicubic" };
  const mode = json.choice("resize_mode", { shortest: "shortest", squash: "squash" } as const, "shortest");
  const shared: Preprocessor = {
    filter: json.choice("interpolation", filters, "bicubic"),
    rescale: 1 / 255,
    normalize: {
      mean: json.has("mean") ? json.numbers("mean") : clipNormalization.mean,
      std: json.has("std") ? json.numbers("std") : clipNormalization.std,
    },
  };
  if (mode === "squash") return { ...shared, resize: { kind: "exact", height, width } };
  return { ...shared, resize: base.resize!, crop: { height, width }, cropRounding: "even" };
}

/** Pillow's numbers of filters. */
const RESAMPLE: Readonly<Record<string, number>> = {
  nearest: 0,
  lanczos: 1,
  bilinear: 2,
  bicubic: 3,
  box: 4,
  hamming: 5,
};

/** Preprocessing as Hugging Face's `preprocessor_config.json`. */
export function preprocessorConfig(preprocessor: Preprocessor): { [key: string]: JsonValue } {
  const { resize, crop, rescale, normalize, filter } = preprocessor;
  const squashes = resize?.kind === "exact";
  const size: { [key: string]: JsonValue } = squashes
    ? { height: resize.height, width: resize.width }
    : { shortest_edge: resize?.kind === "shortest" ? resize.size : 224 };
  return {
    image_processor_type: squashes ? "SiglipImageProcessor" : "CLIPImageProcessor",
    do_convert_rgb: true,
    do_resize: resize !== undefined,
    size,
    resample: RESAMPLE[filter]!,
    do_center_crop: crop !== undefined,
    ...(crop && { crop_size: { ...crop } }),
    do_rescale: rescale !== undefined,
    rescale_factor: rescale ?? 1 / 255,
    do_normalize: normalize !== undefined,
    image_mean: [...(normalize?.mean ?? [0, 0, 0])],
    image_std: [...(normalize?.std ?? [1, 1, 1])],
  };
}
