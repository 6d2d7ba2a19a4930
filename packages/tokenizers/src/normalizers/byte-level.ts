import { charLength, Rewriter } from "../text/aligned-text.ts";
import { toByteChars } from "../text/utf8.ts";
import type { Normalizer } from "./normalizer.ts";

/** Writes the UTF-8 bytes in GPT-2's alphabet; every byte stands for its whole character. */
export const byteLevel: Normalizer = (piece) => {
  const { text } = piece;
  if (/^[!-~]*$/.test(text)) return piece;
  const out = new Rewriter(piece);
  for (let i = 0; i < text.length; ) {
    const size = charLength(text, i);
    out.emit(toByteChars(text.slice(i, i + size)), i);
    i += size;
  }
  return out.finish();
};
