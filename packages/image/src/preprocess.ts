import { fromHost, type Tensor, VlmError } from "@vlm/core";
import type { Image } from "./image.ts";
import { preprocessPixels } from "./preprocess-pixels.ts";
import type { Preprocessor } from "./preprocessor.ts";
import { type ImageSource, type ReadOptions, readImage } from "./read-image.ts";

/**
 * Files are read as Hugging Face's `load_image` does: turned upright by EXIF, then Pillow's `convert("RGB")`, which
 * clips 16-bit grey. The processor itself never looks at EXIF: decoded pixels are taken as they are.
 */
export function readForModel(image: ImageSource, options: ReadOptions = {}): Promise<Image> {
  return readImage(image, { parity: "pillow", orientation: "apply", ...options });
}

/**
 * Model input of one image, equal to what the reference processor makes of the same decoded pixels.
 * @param image decoded pixels, or anything that `readImage` reads: files as `load_image` of Hugging Face reads them,
 *   upright and with 16-bit grey clipped
 * @returns Tensor [3 H W], f32
 */
export async function preprocess(
  image: Image | ImageSource,
  preprocessor: Preprocessor,
  options: ReadOptions = {},
): Promise<Tensor> {
  const { data, shape } = preprocessPixels(await readForModel(image, options), preprocessor);
  return fromHost(data, shape, "f32");
}

/**
 * Model input of several images; four are decoded at a time.
 * @returns Tensor [B 3 H W], f32
 * @throws `ShapeError` when the preprocessor leaves images of different sizes
 */
export async function preprocessBatch(
  images: readonly (Image | ImageSource)[],
  preprocessor: Preprocessor,
  options: ReadOptions = {},
): Promise<Tensor> {
  if (images.length === 0) {
    throw new VlmError("ArgumentError", "IM_EMPTY", {
      what: "there are no images in the batch",
      where: "preprocessBatch",
      hint: "pass at least one",
    });
  }
  let batch: Float32Array | undefined;
  let shape: readonly number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < images.length) {
      const index = next++;
      const pixels = preprocessPixels(await readForModel(images[index]!, options), preprocessor);
      if (batch === undefined) {
        shape = pixels.shape;
        batch = new Float32Array(images.length * pixels.data.length);
      }
      checkSameShape(shape, pixels.shape, index);
      batch.set(pixels.data, index * pixels.data.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, images.length) }, worker));
  return fromHost(batch!, [images.length, ...shape], "f32");
}

/** Throws when an image of a batch came out in another size than the others. */
export function checkSameShape(first: readonly number[], shape: readonly number[], index: number): void {
  if (first.every((n, axis) => n === shape[axis])) return;
  throw new VlmError("ShapeError", "IM_BATCH_SHAPE", {
    what: `image ${index} of the batch became [${shape.join(" ")}], another [${first.join(" ")}]`,
    where: "preprocess",
    hint: "add a crop or an exact size to the preprocessor so that all images come out alike",
    details: { index, shape, first },
  });
}
