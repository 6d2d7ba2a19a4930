import { type AlignedText, charLength, Rewriter } from "../text/aligned-text.ts";
import { isAscii, type Normalizer } from "./normalizer.ts";

export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/**
 * A character that starts a run and what can combine with it: marks, conjoining Hangul (also the compatibility forms
 * that NFKC turns into it) and the half-width voiced marks. No composition or reordering crosses such a run.
 */
const RUN =
  /[\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff\u3131-\u318e\u3260-\u327e\uffa0-\uffdc][\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff\u3131-\u318e\u3260-\u327e\uffa0-\uffdc\p{M}]*|[^\p{M}\uff9e\uff9f][\p{M}\uff9e\uff9f]*|[\p{M}\uff9e\uff9f]+/gu;

/** A run of two or more ASCII characters is never changed, except its last one when a mark follows. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is what is meant.
const ASCII_RUN = /[\x00-\x7f]+/y;

export function unicodeForm(form: UnicodeForm): Normalizer {
  const decomposed = form === "NFC" || form === "NFD" ? "NFD" : "NFKD";
  const composes = form === "NFC" || form === "NFKC";
  return (piece) => {
    const { text } = piece;
    if (isAscii(text) || text.normalize(form) === text) return piece;
    const out = new Rewriter(piece);
    let at = 0;
    while (at < text.length) {
      ASCII_RUN.lastIndex = at;
      const ascii = ASCII_RUN.exec(text)?.[0].length ?? 0;
      if (ascii > 1) {
        const to = at + ascii === text.length ? text.length : at + ascii - 1;
        out.copy(at, to);
        at = to;
        continue;
      }
      RUN.lastIndex = at;
      const run = RUN.exec(text)![0];
      const to = run.normalize(form);
      if (to === run) out.copy(at, at + run.length);
      else if (charLength(run, 0) === run.length) out.emit(to, at);
      else rewriteRun(out, piece, at, run, form, decomposed, composes);
      at += run.length;
    }
    return out.finish();
  };
}

/**
 * Each resulting character carries a change, as in the `unicode-normalization-alignments` crate: 0 replaces a character of the
 * source, 1 is additional, and -n also swallows n characters that follow. Alignment is then a matter of counting.
 */
function rewriteRun(
  out: Rewriter,
  piece: AlignedText,
  at: number,
  run: string,
  form: UnicodeForm,
  decomposed: "NFD" | "NFKD",
  composes: boolean,
): void {
  const pool: { char: string; change: number; used: boolean }[] = [];
  const olds: number[] = [];
  let position = at;
  for (const old of run) {
    olds.push(position);
    position += old.length;
    let change = 0;
    for (const char of old.normalize(decomposed)) {
      pool.push({ char, change, used: false });
      change = 1;
    }
  }
  const take = (char: string): number => {
    const found = pool.find((entry) => !entry.used && entry.char === char);
    if (!found) return 1;
    found.used = true;
    return found.change;
  };
  let next = 0;
  for (const char of run.normalize(form)) {
    let change: number;
    if (composes) {
      const [first, ...rest] = char.normalize(decomposed);
      change = take(first!);
      for (const part of rest) change += take(part) - 1;
    } else {
      change = take(char);
    }
    if (change > 0) {
      out.emit(char, next > 0 ? olds[next - 1]! : previous(piece, at));
    } else {
      out.emit(char, olds[Math.min(next, olds.length - 1)]!);
      next += 1 - change;
    }
  }
}

function previous(piece: AlignedText, at: number): number {
  if (at === 0) return -1;
  const low = (piece.text.charCodeAt(at - 1) & 0xfc00) === 0xdc00;
  return low && at > 1 ? at - 2 : at - 1;
}
