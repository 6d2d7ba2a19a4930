import { VlmError } from "@vlm/core";

/** The bytes are not a picture, or a broken one. */
export function decodeError(
  code: "IM_FORMAT" | "IM_CORRUPT" | "IM_TRUNCATED" | "IM_UNSUPPORTED" | "IM_DIMENSION" | "IM_CORS",
  parts: { what: string; where: string; hint: string; details?: Record<string, unknown>; cause?: unknown },
): VlmError {
  return new VlmError("ImageDecodeError", code, parts);
}

/** The picture is larger than what the caller allows; thrown from its header, before memory is taken. */
export function limitError(
  code: "IM_PIXELS" | "IM_BYTES" | "IM_SCANS",
  parts: { what: string; where: string; hint: string; details?: Record<string, unknown> },
): VlmError {
  return new VlmError("ImageLimitError", code, parts);
}
