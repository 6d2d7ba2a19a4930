import type { Pattern } from "../regex/pattern.ts";
import { charLength } from "../text/aligned-text.ts";
import { classTable, NUMBER, PUNCTUATION, SPACE, WORD } from "../unicode/classes.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";
import { type SplitBehavior, split } from "./split.ts";

/** Each single character that has one of the class bits. */
export function classPattern(bits: number): Pattern {
  return {
    each(text, visit) {
      const table = classTable();
      for (let i = 0; i < text.length; ) {
        const c = text.charCodeAt(i);
        const size = c >= 0xd800 && c < 0xdc00 ? charLength(text, i) : 1;
        if (table[size === 2 ? text.codePointAt(i)! : c]! & bits) visit(i, i + size);
        i += size;
      }
    },
  };
}

/** Splits on whitespace, then puts each punctuation character on its own. */
export const bertPreTokenizer: PreTokenizer = (piece, emit) => {
  const table = classTable();
  const { text } = piece;
  let from = 0;
  for (let i = 0; i < text.length; ) {
    const c = text.charCodeAt(i);
    let kind: number;
    let size = 1;
    if (c >= 0xd800 && c < 0xdc00) {
      size = charLength(text, i);
      kind = table[text.codePointAt(i)!]!;
    } else kind = table[c]!;
    if (kind & (SPACE | PUNCTUATION)) {
      if (i > from) emit(piece, from, i);
      if (kind & PUNCTUATION) emit(piece, i, i + size);
      from = i + size;
    }
    i += size;
  }
  if (text.length > from) emit(piece, from, text.length);
};

export const whitespaceSplit: PreTokenizer = split(classPattern(SPACE), "Removed", false);

export function punctuation(behavior: SplitBehavior): PreTokenizer {
  return split(classPattern(PUNCTUATION), behavior, false);
}

export function digits(individual: boolean): PreTokenizer {
  return split(classPattern(NUMBER), individual ? "Isolated" : "Contiguous", false);
}

/** `\w+|[^\w\s]+`. */
export const whitespace: PreTokenizer = (piece, emit) => {
  const table = classTable();
  const { text } = piece;
  let from = 0;
  let kind = SPACE;
  for (let i = 0; i < text.length; ) {
    const size = charLength(text, i);
    const bits = table[text.codePointAt(i)!]!;
    const next = bits & WORD ? WORD : bits & SPACE ? SPACE : 0;
    if (next !== kind) {
      if (kind !== SPACE) emit(piece, from, i);
      from = i;
      kind = next;
    }
    i += size;
  }
  if (kind !== SPACE) emit(piece, from, text.length);
};

/** Pieces of `length` characters, the last one shorter. */
export function fixedLength(length: number): PreTokenizer {
  return (piece, emit) => {
    const { text } = piece;
    let from = 0;
    let count = 0;
    for (let i = 0; i < text.length; ) {
      i += charLength(text, i);
      if (++count === length || i >= text.length) {
        emit(piece, from, i);
        from = i;
        count = 0;
      }
    }
  };
}
