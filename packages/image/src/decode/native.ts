import { VlmError } from "@vlm/core";
import type { ImageFormat } from "../formats/sniff.ts";
import { loadSharp } from "../platform.ts";
import { decodeError } from "./errors.ts";
import type { Raster } from "./raster.ts";

/** How `decodeNative` and `decodeInBrowser` are to treat a file. */
export type DecodeSettings = {
  where: string;
  partial: boolean;
  truncated: boolean;
  icc: "ignore" | "srgb";
  maxPixels: number;
  /** Width in pixels of a rendered SVG. */
  svgWidth?: number | undefined;
};

/** Decodes with the optional peer `sharp`: JPEG, WebP, AVIF and, on request, SVG; the first frame only. */
export async function decodeNative(bytes: Uint8Array, format: ImageFormat, settings: DecodeSettings): Promise<Raster> {
  const sharp = await loadSharp();
  if (sharp === undefined) {
    throw new VlmError("FeatureMissingError", "IM_SHARP", {
      what: `reading ${format.toUpperCase()} in Node needs the package sharp, which is not installed`,
      where: settings.where,
      hint: "npm i sharp (PNG, GIF and BMP work without it)",
      details: { format },
    });
  }
  const options = {
    failOn: settings.partial ? ("none" as const) : ("error" as const),
    ignoreIcc: settings.icc === "ignore",
    limitInputPixels: settings.maxPixels,
    pages: 1,
  };
  try {
    let pipeline = sharp(bytes, options);
    const { space, width = 0 } = await pipeline.metadata();
    const cmyk = space === "cmyk" && settings.icc === "ignore";
    // Inks as they are: converting them is ours, see `finish`.
    if (cmyk) pipeline = pipeline.pipelineColourspace("cmyk").toColourspace("cmyk");
    if (format === "svg" && settings.svgWidth !== undefined && width > 0) {
      const density = Math.min(100_000, Math.max(1, (72 * settings.svgWidth) / width));
      pipeline = sharp(bytes, { ...options, density }).resize({ width: settings.svgWidth });
    }
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, channels: info.channels as 1 | 2 | 3 | 4, data, cmyk };
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "").trim() : String(cause);
    throw failed(format, settings, bytes.length, reason, cause);
  }
}

/** The error for a file that the platform's decoder rejects. */
export function failed(
  format: ImageFormat,
  { where, truncated }: DecodeSettings,
  bytes: number,
  reason: string,
  cause: unknown,
): VlmError {
  const name = format.toUpperCase();
  if (truncated || /premature end|truncat|bad seek|end of/i.test(reason)) {
    return decodeError("IM_TRUNCATED", {
      what: `the ${name} file ends early, after ${bytes} bytes`,
      where,
      hint: "download or copy the file again, or pass { partial: true } to get what there is",
      details: { format, bytes },
      cause,
    });
  }
  if (/unsupported|not supported|no decoding plugin/i.test(reason)) {
    return decodeError("IM_UNSUPPORTED", {
      what: `this ${name} cannot be decoded on this platform`,
      where,
      hint: "convert it to PNG or JPEG",
      details: { format },
      cause,
    });
  }
  return decodeError("IM_CORRUPT", {
    what: `the ${name} cannot be decoded${reason ? `: ${reason}` : ""}`,
    where,
    hint: "the file is damaged; download or copy it again",
    details: { format },
    cause,
  });
}
