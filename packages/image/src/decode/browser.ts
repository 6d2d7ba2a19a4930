import { VlmError } from "@vlm/core";
import type { ImageFormat } from "../formats/sniff.ts";
import { decodeError } from "./errors.ts";
import { type DecodeSettings, failed } from "./native.ts";
import type { Raster } from "./raster.ts";

const MIME: Record<ImageFormat, string> = {
  png: "image/png",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  svg: "image/svg+xml",
};

/** Anything that both kinds of canvas can draw. */
export type Drawable = CanvasImageSource & TexImageSource;

/** Decodes with `createImageBitmap`: colours as they are in the file, alpha not premultiplied. */
export async function decodeInBrowser(
  bytes: Uint8Array,
  format: ImageFormat,
  settings: DecodeSettings,
): Promise<Raster> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: MIME[format] });
  if (format === "svg") return renderSvg(blob, settings);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      premultiplyAlpha: "none",
      colorSpaceConversion: settings.icc === "ignore" ? "none" : "default",
    });
  } catch (cause) {
    if (format === "avif") {
      throw decodeError("IM_UNSUPPORTED", {
        what: "this browser cannot read this AVIF",
        where: settings.where,
        hint: "Chrome 85, Firefox 93 and Safari 16.4 can; or convert it to WebP or JPEG",
        details: { format },
        cause,
      });
    }
    throw failed(format, settings, bytes.length, "", cause);
  }
  try {
    return readBack(bitmap, bitmap.width, bitmap.height, settings.where);
  } finally {
    bitmap.close();
  }
}

/**
 * The pixels of something drawn. WebGL returns them as they are; a 2D canvas, the fallback, stores colours multiplied
 * by alpha, so that half-transparent ones lose a level or two.
 */
export function readBack(source: Drawable, width: number, height: number, where: string): Raster {
  try {
    return readWithGl(source, width, height) ?? readWithCanvas(source, width, height);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "SecurityError") {
      throw decodeError("IM_CORS", {
        what: "the pixels come from another site, which did not allow reading them",
        where,
        hint: 'serve the picture with Access-Control-Allow-Origin and load it with crossOrigin = "anonymous"',
        cause,
      });
    }
    throw cause;
  }
}

function readWithGl(source: Drawable, width: number, height: number): Raster | undefined {
  if (typeof OffscreenCanvas === "undefined") return undefined;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (gl === null || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return undefined;
  try {
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, source);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) return undefined;
    const data = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
    return gl.getError() === gl.NO_ERROR ? { width, height, channels: 4, data } : undefined;
  } finally {
    gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function readWithCanvas(source: Drawable, width: number, height: number): Raster {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) {
    throw new VlmError("FeatureMissingError", "IM_CANVAS", {
      what: "this platform has no 2D canvas to read pixels with",
      hint: "pass encoded bytes or an ImageData instead",
    });
  }
  context.drawImage(source, 0, 0, width, height);
  return { width, height, channels: 4, data: context.getImageData(0, 0, width, height).data };
}

async function renderSvg(blob: Blob, { where, svgWidth, maxPixels }: DecodeSettings): Promise<Raster> {
  if (typeof document === "undefined") {
    throw decodeError("IM_UNSUPPORTED", {
      what: "browsers render SVG only in a page, not in a worker",
      where,
      hint: "read it in the page and send the pixels to the worker",
    });
  }
  const url = URL.createObjectURL(blob);
  try {
    const element = document.createElement("img");
    element.src = url;
    await element.decode();
    const width = svgWidth ?? element.naturalWidth;
    const height = Math.max(1, Math.round((element.naturalHeight * width) / Math.max(1, element.naturalWidth)));
    if (width * height > maxPixels) {
      throw new VlmError("ImageLimitError", "IM_PIXELS", {
        what: `${width} × ${height} pixels, the limit is ${maxPixels}`,
        where,
      });
    }
    return readBack(element, width, height, where);
  } catch (cause) {
    if (cause instanceof VlmError) throw cause;
    throw decodeError("IM_CORRUPT", { what: "the SVG cannot be rendered", where, hint: "open it in a browser", cause });
  } finally {
    URL.revokeObjectURL(url);
  }
}
