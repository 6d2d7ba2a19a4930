import { prepend } from "../normalizers/characters.ts";
import { literalPattern } from "../regex/pattern.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";
import { split } from "./split.ts";

export type PrependScheme = "always" | "first" | "never";

/** Writes spaces as `replacement`, puts one in front, and splits before each. */
export function metaspace(replacement: string, scheme: PrependScheme, splits: boolean): PreTokenizer {
  const prefix = prepend(replacement);
  const cut = split(literalPattern(replacement), "MergedWithNext", false);
  return (piece, emit) => {
    const text = piece.text.includes(" ") ? piece.text.replaceAll(" ", replacement) : piece.text;
    let next = text === piece.text ? piece : piece.withText(text);
    const first = scheme === "always" || (scheme === "first" && piece.start(0) === 0);
    if (first && !text.startsWith(replacement)) next = prefix(next);
    if (splits) cut(next, emit);
    else emit(next, 0, next.text.length);
  };
}
