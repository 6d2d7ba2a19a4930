import { VlmError } from "@vlm/core";
import { toRgba } from "../convert.ts";
import { checkImage, type Image } from "../image.ts";

/** An `ImageData` with the image's pixels (browsers). */
export function toImageData(image: Image): ImageData {
  checkImage(image, "toImageData");
  if (typeof ImageData === "undefined") {
    throw new VlmError("FeatureMissingError", "IM_CANVAS", {
      what: "this platform has no ImageData",
      where: "toImageData",
      hint: "use encodePng or writePng instead",
    });
  }
  const { data, width, height } = toRgba(image);
  return new ImageData(new Uint8ClampedArray(data), width, height);
}

/** Draws an image on a canvas, which takes its size; a new `OffscreenCanvas` when none is given (browsers). */
export function toCanvas<C extends HTMLCanvasElement | OffscreenCanvas = OffscreenCanvas>(image: Image, canvas?: C): C {
  const pixels = toImageData(image);
  const target = canvas ?? (new OffscreenCanvas(image.width, image.height) as C);
  target.width = image.width;
  target.height = image.height;
  const context = target.getContext("2d") as CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null;
  if (context === null) {
    throw new VlmError("ArgumentError", "IM_CANVAS", {
      what: "the canvas already has another kind of context",
      where: "toCanvas",
      hint: "pass a fresh canvas",
    });
  }
  context.putImageData(pixels, 0, 0);
  return target;
}
