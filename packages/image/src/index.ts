export { composite } from "./alpha.ts";
export {
  type Augment,
  type ColorJitter,
  clipAugment,
  colorJitter,
  flip,
  randomBlur,
  randomFlip,
  randomGrayscale,
  randomResizedCrop,
  randomShift,
  sequence,
  simclrAugment,
  sometimes,
  views,
} from "./augment/augment.ts";
export { gaussianBlur } from "./augment/blur.ts";
export { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, grayscale } from "./augment/color.ts";
export { toGray, toRgb, toRgba } from "./convert.ts";
export { type Box, type CropRounding, centerCrop, crop, type Padding, pad } from "./crop.ts";
export {
  type DataOptions,
  DataSet,
  type DataSetParts,
  type SampleContext,
  type Skipped,
} from "./data/data-set.ts";
export type { DataState } from "./data/data-state.ts";
export {
  type ImageCaptionBatch,
  type ImageCaptionData,
  type ImageCaptionItem,
  type ImageCaptionOptions,
  imageCaptions,
  stackPixels,
} from "./data/image-captions.ts";
export { type OpenMoji, type OpenMojiOptions, openmoji } from "./data/openmoji.ts";
export type { Columns, ImageCaption } from "./data/pair-sources.ts";
export { type Color, createImage, type Image, imageFromFloats } from "./image.ts";
export { type Letterboxed, letterbox } from "./letterbox.ts";
export { orient } from "./orient.ts";
export { toCanvas, toImageData } from "./out/canvas.ts";
export { type HeatMap, type OverlayOptions, overlayHeatMap } from "./out/heat-map.ts";
export { type GridItem, type GridOptions, imageGrid } from "./out/image-grid.ts";
export { encodePng } from "./out/png.ts";
export { pixelsToImage, type ToImageOptions, toImage } from "./out/to-image.ts";
export { writePng } from "./out/write-png.ts";
export { type PatchOrder, patchify, unpatchify } from "./patchify.ts";
export type { PixelArray } from "./pixel-array.ts";
export type { PixelSource } from "./pixel-source.ts";
export { preprocess, preprocessBatch } from "./preprocess.ts";
export { preprocessPixels } from "./preprocess-pixels.ts";
export {
  blip2Preprocessor,
  clipNormalization,
  clipPreprocessor,
  imagenetNormalization,
  type Preprocessor,
  siglipPreprocessor,
  symmetricNormalization,
  type TargetSize,
  vitPreprocessor,
} from "./preprocessor.ts";
export { preprocessorFromConfig } from "./preprocessor-config.ts";
export type { RandomKey } from "./random.ts";
export { type ImageSource, MAX_PIXELS, type ReadOptions, readImage } from "./read-image.ts";
export type { Filter } from "./resample.ts";
export { type ResizeOptions, resize } from "./resize.ts";
export { resizeFloat } from "./resize-float.ts";
export type { ByteSource } from "./source-bytes.ts";
export { targetSize } from "./target-size.ts";
