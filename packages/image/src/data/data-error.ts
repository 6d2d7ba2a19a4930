import { VlmError } from "@vlm/core";

/** An error of data: a broken file of captions, a missing one, a name that is not unique. */
export function dataError(
  name: "DataError" | "ArgumentError" | "CheckpointError" | "ConcurrencyError" | "UnsafePathError",
  code: string,
  what: string,
  where: string,
  hint: string,
): VlmError {
  return new VlmError(name, code, { what, where, hint });
}
