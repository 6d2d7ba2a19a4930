import { VlmError } from "@vlm/core";
import { readBack } from "./decode/browser.ts";
import { limitError } from "./decode/errors.ts";
import type { Raster } from "./decode/raster.ts";

/** Pixels that a browser already holds. */
export type PixelSource =
  | ImageData
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | HTMLImageElement
  | HTMLVideoElement
  | VideoFrame;

const KINDS = [
  "ImageData",
  "HTMLCanvasElement",
  "OffscreenCanvas",
  "ImageBitmap",
  "HTMLImageElement",
  "HTMLVideoElement",
  "VideoFrame",
];

/** True for objects of the platform that hold pixels, in any realm; ImageData also by its shape. */
export function isPixelSource(source: unknown): source is PixelSource {
  if (typeof source !== "object" || source === null) return false;
  const tag = Object.prototype.toString.call(source).slice(8, -1);
  return KINDS.includes(tag) || isImageData(source);
}

function isImageData(source: object): source is ImageData {
  return "data" in source && "width" in source && "height" in source && !("channels" in source);
}

/** Copies the pixels out. @throws `DisposedError` for a closed bitmap or frame, `ShapeError` for a broken ImageData */
export async function readPixels(source: PixelSource, maxPixels: number): Promise<Raster> {
  if (isImageData(source)) return imageData(source);
  const { width, height } = sizeOf(source);
  const kind = Object.prototype.toString.call(source).slice(8, -1);
  if (width === 0 || height === 0) {
    const closes = kind === "ImageBitmap" || kind === "VideoFrame";
    throw new VlmError(closes ? "DisposedError" : "ShapeError", closes ? "IM_CLOSED" : "IM_DIMENSION", {
      what: closes ? `the ${kind} has been closed` : `the ${kind} has no pixels: ${width} × ${height}`,
      where: "readImage",
      hint: closes ? "read it before close()" : "wait until it has loaded",
      details: { width, height },
    });
  }
  if (width * height > maxPixels) {
    throw limitError("IM_PIXELS", {
      what: `${width} × ${height} is ${width * height} pixels, the limit is ${maxPixels}`,
      where: `a ${kind}`,
      hint: "raise maxPixels, or draw it smaller first",
      details: { width, height, limit: maxPixels },
    });
  }
  return readBack(source, width, height, `a ${kind}`);
}

function imageData({ width, height, data }: ImageData): Raster {
  const bytes = data as Uint8ClampedArray | Float32Array;
  if (!(bytes instanceof Uint8ClampedArray)) {
    throw new VlmError("DTypeError", "IM_DTYPE", {
      what: "the ImageData holds floating-point pixels",
      where: "readImage",
      hint: 'create it with pixelFormat "rgba-unorm8"',
    });
  }
  const fits = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!fits || bytes.length !== width * height * 4) {
    throw new VlmError("ShapeError", "IM_LENGTH", {
      what: `an ImageData of ${width} × ${height} holds ${width * height * 4} values, this one ${bytes.length}`,
      where: "readImage",
      hint: "ImageData is RGBA: four values a pixel",
      details: { width, height, length: bytes.length },
    });
  }
  return { width, height, channels: 4, data: bytes };
}

function sizeOf(source: Exclude<PixelSource, ImageData>): { width: number; height: number } {
  if ("displayWidth" in source) return { width: source.displayWidth, height: source.displayHeight };
  if ("videoWidth" in source) return { width: source.videoWidth, height: source.videoHeight };
  if ("naturalWidth" in source) return { width: source.naturalWidth, height: source.naturalHeight };
  return { width: source.width, height: source.height };
}
