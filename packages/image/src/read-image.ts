import { VlmError } from "@vlm/core";
import { decodeBmp } from "./decode/bmp.ts";
import { decodeInBrowser } from "./decode/browser.ts";
import { decodeError, limitError } from "./decode/errors.ts";
import { finish } from "./decode/finish.ts";
import { decodeGif } from "./decode/gif.ts";
import { type DecodeSettings, decodeNative } from "./decode/native.ts";
import { decodePng } from "./decode/png.ts";
import type { Raster } from "./decode/raster.ts";
import type { Orientation } from "./formats/exif.ts";
import { type Header, parseHeader, withinHeader } from "./formats/header.ts";
import { type ImageFormat, sniffFormat } from "./formats/sniff.ts";
import { type Color, checkImage, type Image } from "./image.ts";
import { isPixelSource, type PixelSource, readPixels } from "./pixel-source.ts";
import { builtin } from "./platform.ts";
import { type ByteSource, readBytes, sourceName } from "./source-bytes.ts";

/** Everything an image can be read from. */
export type ImageSource = ByteSource | PixelSource | Image;

/** Options of `readImage`; the defaults treat every platform alike. */
export type ReadOptions = {
  /** 1 grey (luma), 3 RGB (default), 4 RGB and alpha. */
  channels?: 1 | 3 | 4;
  /** Colour to lay transparent pixels over; by default alpha is dropped, as Pillow's `convert("RGB")` does. */
  background?: Color;
  /** Turn upright by EXIF ("apply", default), or leave as stored, as Pillow does. */
  orientation?: "apply" | "ignore";
  /** Colour profiles are ignored by default, as in training pipelines; "srgb" converts by them. */
  icc?: "ignore" | "srgb";
  /** "pillow": EXIF orientation ignored and 16-bit grey clipped at 255, as `Image.open(f).convert("RGB")` does. */
  parity?: "pillow";
  /** Return what a cut-off file still holds instead of throwing `IM_TRUNCATED`. */
  partial?: boolean;
  /** Render SVG, which is refused by default; the number is the width in pixels. */
  svg?: boolean | { width: number };
  /** Most pixels, checked in the file's header before memory is taken; default 2^26 (67 million). */
  maxPixels?: number;
  /** Largest file in bytes; default 256 MB. */
  maxBytes?: number;
  /** Most scans of a progressive JPEG, each of which costs a full pass; default 500. */
  maxScans?: number;
  /** Milliseconds without a byte after which a download is given up; default 30,000. */
  timeout?: number;
  /** Cancels reading. */
  signal?: AbortSignal;
  /** Called for what was ignored, such as corrupt EXIF data. */
  onWarning?: (message: string) => void;
  /** Replaces the global `fetch`, for headers or tests. */
  fetch?: typeof fetch;
};

/** Default of `ReadOptions.maxPixels`. */
export const MAX_PIXELS = 2 ** 26;

/**
 * Reads a picture: PNG, JPEG, WebP, GIF (first frame), AVIF, BMP, from a path, URL, data URL, bytes or Blob; or the
 * pixels of an ImageData, canvas, ImageBitmap, `<img>`, `<video>` or VideoFrame.
 * The format is told by the bytes, never by a name. PNG, GIF and BMP need nothing; the others are decoded by the optional
 * peer `sharp` in Node and by `createImageBitmap` in browsers.
 * @throws `ImageDecodeError` (`IM_FORMAT`, `IM_UNSUPPORTED`, `IM_CORRUPT`, `IM_TRUNCATED`, `IM_DIMENSION`, `IM_CORS`),
 * `ImageLimitError` (`IM_PIXELS`, `IM_BYTES`, `IM_SCANS`), `NetworkError`, `StorageError`, `FeatureMissingError`
 */
export async function readImage(source: ImageSource, options: ReadOptions = {}): Promise<Image> {
  const { channels = 3, background } = options;
  const plain = { channels, background, orientation: 1, clip16: false, frames: 1 };
  if (isImage(source)) {
    checkImage(source, "readImage");
    return finish(source, { ...plain, frames: source.frames ?? 1 });
  }
  if (isPixelSource(source)) return finish(await readPixels(source, options.maxPixels ?? MAX_PIXELS), plain);
  checkByteSource(source);
  const bytes = await readBytes(source, {
    maxBytes: options.maxBytes ?? 256 * 2 ** 20,
    timeout: options.timeout ?? 30_000,
    signal: options.signal,
    fetch: options.fetch,
  });
  return decodeImage(bytes, options, sourceName(source));
}

async function decodeImage(bytes: Uint8Array, options: ReadOptions, where: string): Promise<Image> {
  const format = requireFormat(bytes, options, where);
  const maxPixels = options.maxPixels ?? MAX_PIXELS;
  const pillow = options.parity === "pillow";
  const header: Header = format === "svg" ? { width: 1, height: 1, frames: 1 } : parseHeader(bytes, format, where);
  checkHeader(header, format, { ...options, maxPixels }, where);
  const orientation = usableOrientation(header, options, where);
  const settings: DecodeSettings = {
    where,
    partial: options.partial ?? false,
    truncated: header.truncated ?? false,
    icc: options.icc ?? "ignore",
    maxPixels,
    svgWidth: typeof options.svg === "object" ? options.svg.width : undefined,
  };
  const raster = await decode(bytes, format, settings, orientation);
  options.signal?.throwIfAborted();
  const apply = (options.orientation ?? (pillow ? "ignore" : "apply")) === "apply";
  return finish(raster, {
    channels: options.channels ?? 3,
    background: options.background,
    orientation: apply ? (orientation?.value ?? 1) : 1,
    clip16: pillow,
    frames: header.frames,
  });
}

async function decode(
  bytes: Uint8Array,
  format: ImageFormat,
  settings: DecodeSettings,
  tag?: Orientation,
): Promise<Raster> {
  if (format === "png") return decodePng(bytes, settings.where, settings.partial);
  if (format === "bmp" || format === "gif") {
    const decoder = format === "bmp" ? decodeBmp : decodeGif;
    return withinHeader(bytes, format, settings.where, () => decoder(bytes, settings.where, settings.partial));
  }
  if (builtin("node:path") !== undefined) return decodeNative(bytes, format, settings);
  return decodeInBrowser(tag && tag.value > 1 ? withoutOrientation(bytes, tag) : bytes, format, settings);
}

/** Browsers turn pictures by themselves and cannot all be told not to: the tag is set to 1, and turning is ours. */
function withoutOrientation(bytes: Uint8Array, { at, littleEndian }: Orientation): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint16(at, 1, littleEndian);
  return copy;
}

function requireFormat(bytes: Uint8Array, options: ReadOptions, where: string): ImageFormat {
  const sniffed = sniffFormat(bytes);
  if (sniffed.format === undefined) {
    const known = /HEIC|JPEG|TIFF|Photoshop|PDF|ICO|video/.test(sniffed.looksLike);
    throw decodeError(known ? "IM_UNSUPPORTED" : "IM_FORMAT", {
      what: `this is ${sniffed.looksLike}, not a picture that can be read`,
      where,
      hint: sniffed.hint,
      details: { looksLike: sniffed.looksLike },
    });
  }
  if (sniffed.format === "svg" && !options.svg) {
    throw decodeError("IM_UNSUPPORTED", {
      what: "this is an SVG drawing, a program that can cost any amount of time",
      where,
      hint: "pass { svg: true } or { svg: { width: 512 } } if you trust it",
      details: { format: "svg" },
    });
  }
  return sniffed.format;
}

function checkHeader(
  header: Header,
  format: string,
  options: ReadOptions & { maxPixels: number },
  where: string,
): void {
  const { width, height } = header;
  if (header.unsupported !== undefined) {
    throw decodeError("IM_UNSUPPORTED", {
      what: header.unsupported,
      where,
      hint: "convert it to PNG or a baseline JPEG",
    });
  }
  if (!(width >= 1 && height >= 1)) {
    throw decodeError("IM_DIMENSION", {
      what: `the ${format.toUpperCase()} says it is ${width} × ${height} pixels`,
      where,
      hint: "the file is damaged or empty",
      details: { width, height },
    });
  }
  if (width * height > options.maxPixels) {
    throw limitError("IM_PIXELS", {
      what: `${width} × ${height} is ${width * height} pixels, the limit is ${options.maxPixels}`,
      where,
      hint: "raise maxPixels if you trust the source and have the memory",
      details: { width, height, pixels: width * height, limit: options.maxPixels },
    });
  }
  const maxScans = options.maxScans ?? 500;
  if ((header.scans ?? 0) > maxScans) {
    throw limitError("IM_SCANS", {
      what: `the JPEG has ${header.scans} scans, the limit is ${maxScans}`,
      where,
      hint: "raise maxScans if you trust the source",
      details: { scans: header.scans, limit: maxScans },
    });
  }
}

function usableOrientation(header: Header, options: ReadOptions, where: string): Orientation | undefined {
  if (header.orientation !== "corrupt") return header.orientation;
  options.onWarning?.(`${where}: the EXIF data is corrupt and was ignored`);
  return undefined;
}

function isImage(source: ImageSource): source is Image {
  return typeof source === "object" && source !== null && "channels" in source && "data" in source && "width" in source;
}

function checkByteSource(source: unknown): asserts source is ByteSource {
  const fine =
    typeof source === "string" ||
    source instanceof URL ||
    source instanceof Uint8Array ||
    source instanceof ArrayBuffer ||
    (typeof Blob !== "undefined" && source instanceof Blob);
  if (fine) return;
  throw new VlmError("ArgumentError", "IM_SOURCE", {
    what: `an image cannot be read from ${source === null ? "null" : typeof source}`,
    where: "readImage",
    hint: "pass a path, URL, data URL, bytes, Blob, ImageData, canvas, ImageBitmap, VideoFrame or Image",
  });
}
