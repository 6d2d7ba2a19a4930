import { prepend } from "../normalizers/characters.ts";
import { regexPattern } from "../regex/pattern.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";
import { split } from "./split.ts";

export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * The splitting half of ByteLevel. Writing the pieces in GPT-2's alphabet is left to the end of the pipeline, where the
 * model can do it from the UTF-8 bytes without building a string.
 */
export function byteLevelSplit(addPrefixSpace: boolean, useRegex: boolean): PreTokenizer {
  const space = prepend(" ");
  const cut = split(regexPattern(GPT2_PATTERN, "ByteLevel"), "Isolated", false);
  return (piece, emit) => {
    const next = addPrefixSpace && !piece.text.startsWith(" ") ? space(piece) : piece;
    if (useRegex) cut(next, emit);
    else emit(next, 0, next.text.length);
  };
}
