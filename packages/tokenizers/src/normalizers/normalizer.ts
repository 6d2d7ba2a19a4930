import type { AlignedText } from "../text/aligned-text.ts";

/** Changes a piece of text and keeps its alignment with the original. */
export type Normalizer = (piece: AlignedText) => AlignedText;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is what is tested.
const NON_ASCII = /[^\x00-\x7f]/;

export function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}
