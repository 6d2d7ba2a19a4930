import { type AlignedText, Rewriter } from "../text/aligned-text.ts";
import { classTable, forEachRange, isSpace, MARK, NONSPACING, OTHER } from "../unicode/classes.ts";
import { isAscii, type Normalizer } from "./normalizer.ts";
import { unicodeForm } from "./unicode-forms.ts";

/** Lower case character by character: "ΑΣ" becomes "ασ", where `toLowerCase` looks at the context and gives "ας". */
export const lowercase: Normalizer = (piece) => {
  const { text } = piece;
  let dotted = text.indexOf("\u0130");
  if (dotted < 0) {
    const lower = lowerOf(text);
    return lower === text ? piece : piece.withText(lower);
  }
  // The one character whose lower case is longer.
  const out = new Rewriter(piece);
  let from = 0;
  for (; dotted >= 0; dotted = text.indexOf("\u0130", from)) {
    out.map(lowerOf(text.slice(from, dotted)), from);
    out.emit("i\u0307", dotted);
    from = dotted + 1;
  }
  out.map(lowerOf(text.slice(from)), from);
  return out.finish();
};

function lowerOf(text: string): string {
  return (text.includes("Σ") ? text.replaceAll("Σ", "σ") : text).toLowerCase();
}

/** Removes the characters for which `drop` holds; `some`, where given, is a quick test for any of them. */
export function removing(drop: (code: number) => boolean, some?: RegExp): Normalizer {
  return (piece) => {
    const { text } = piece;
    if (some && !some.test(text)) return piece;
    let out: Rewriter | undefined;
    let from = 0;
    for (let i = 0; i < text.length; ) {
      const code = text.codePointAt(i)!;
      const size = code > 0xffff ? 2 : 1;
      if (drop(code)) {
        out ??= new Rewriter(piece);
        out.copy(from, i);
        from = i + size;
      }
      i += size;
    }
    if (!out) return piece;
    out.copy(from, text.length);
    return out.finish();
  };
}

/** Replaces single units by single units: the alignment stays. */
function mapping(pattern: RegExp, to: string): Normalizer {
  return (piece) => {
    const text = piece.text.replace(pattern, to);
    return text === piece.text ? piece : piece.withText(text);
  };
}

export const stripAccents: Normalizer = (piece) => {
  if (isAscii(piece.text)) return piece;
  const table = classTable();
  return removing((code) => (table[code]! & MARK) !== 0)(piece);
};

/** Removes White_Space from the ends. */
export function strip(left: boolean, right: boolean): Normalizer {
  return (piece) => {
    const { text } = piece;
    let from = 0;
    let to = text.length;
    if (left) while (from < to && isSpace(text.charCodeAt(from))) from++;
    if (right) while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
    return from === 0 && to === text.length ? piece : piece.slice(from, to);
  };
}

/** Puts `prefix` before text that is not empty; it stands for the first character. */
export function prepend(prefix: string): Normalizer {
  return (piece) => {
    if (!piece.text) return piece;
    const out = new Rewriter(piece);
    out.emit(prefix, 0);
    out.copy(0, piece.text.length);
    return out.finish();
  };
}

/** SentencePiece's "nmt" clean-up. */
export const nmt: Normalizer = (() => {
  const drop = removing(
    (c) => (c >= 1 && c <= 8) || c === 0x0b || (c >= 0x0e && c <= 0x1f) || c === 0x7f || c === 0x8f || c === 0x9f,
  );
  const space = mapping(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, " ");
  return (piece) => space(drop(piece));
})();

export type BertOptions = { cleanText: boolean; chinese: boolean; stripAccents: boolean; lowercase: boolean };

const WHITESPACE = /[\t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/g;
const CHINESE =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;

function isChinese(code: number): boolean {
  if (code < 0x3400) return false;
  if (code < 0x10000) return code <= 0x4dbf || (code >= 0x4e00 && code <= 0x9fff) || (code >= 0xf900 && code <= 0xfaff);
  if (code < 0x20000) return false;
  return (
    code <= 0x2a6df ||
    (code >= 0x2a700 && code <= 0x2b81f) ||
    (code >= 0x2b920 && code <= 0x2ceaf) ||
    (code >= 0x2f800 && code <= 0x2fa1f)
  );
}

/** BERT's normaliser: clean, space around CJK, strip accents, lower case; each step optional. */
export function bertNormalizer(options: BertOptions): Normalizer {
  const steps: Normalizer[] = [];
  if (options.cleanText) {
    const table = classTable();
    let removed = "\\ufffd\\0";
    forEachRange("other", (from, to) => {
      removed += `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`;
    });
    const some = new RegExp(`[${removed}]`, "u");
    const drop = removing((c) => c === 0 || c === 0xfffd || (table[c]! & OTHER) !== 0, some);
    const space = mapping(WHITESPACE, " ");
    steps.push((piece) => space(drop(piece)));
  }
  if (options.chinese) steps.push(spaceAroundChinese);
  if (options.stripAccents) {
    const table = classTable();
    const drop = removing((c) => (table[c]! & NONSPACING) !== 0);
    const decompose = unicodeForm("NFD");
    steps.push((piece) => (isAscii(piece.text) ? piece : drop(decompose(piece))));
  }
  if (options.lowercase) steps.push(lowercase);
  return sequence(steps);
}

const spaceAroundChinese: Normalizer = (piece: AlignedText) => {
  const { text } = piece;
  const first = text.search(CHINESE);
  if (first < 0) return piece;
  const out = new Rewriter(piece);
  let from = 0;
  for (let i = first; i < text.length; ) {
    const code = text.codePointAt(i)!;
    const size = code > 0xffff ? 2 : 1;
    if (isChinese(code)) {
      out.copy(from, i);
      out.emit(` ${text.slice(i, i + size)} `, i);
      from = i + size;
    }
    i += size;
  }
  out.copy(from, text.length);
  return out.finish();
};

/** One after the other. */
export function sequence(steps: readonly Normalizer[]): Normalizer {
  return (piece) => steps.reduce((p, step) => step(p), piece);
}
