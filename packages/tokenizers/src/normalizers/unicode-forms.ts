import { type AlignedText, charLength, Rewriter } from "../text/aligned-text.ts";
import { normalizeRun } from "./mark-order.ts";
import { isAscii, type Normalizer } from "./normalizer.ts";

export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/**
 * A character that starts a run and what can combine with it: marks, conjoining Hangul (also the compatibility forms
 * that NFKC turns into it) and the half-width voiced marks. No composition or reordering crosses such a run.
 */
const RUN =
  /[\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff\u3131-\u318e\u3260-\u327e\uffa0-\uffdc][\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff\u3131-\u318e\u3260-\u327e\uffa0-\uffdc\p{M}]*|[^\p{M}\uff9e\uff9f][\p{M}\uff9e\uff9f]*|[\p{M}\uff9e\uff9f]+/gu;

/** Nothing composes when decomposing, but marks change places. */
const DECOMPOSED_RUN = /[^\p{M}\uff9e\uff9f][\p{M}\uff9e\uff9f]*|[\p{M}\uff9e\uff9f]+/gu;

/** What can be more than the first character of such runs. */
const DECOMPOSED_JOINS = /[\p{M}\uff9e\uff9f]/u;
const JOINS = /[\p{M}\uff9e\uff9f\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff\u3131-\u318e\u3260-\u327e\uffa0-\uffdc]/u;

/** What a normalisation does to single characters of the first plane that stand alone; found out when first seen. */
class SingleForms {
  readonly #form: UnicodeForm;
  readonly #joins: RegExp;
  /** 0 not seen, 1 may join a neighbour, 2 stays as it is, from 3 an index into `#changed`. */
  readonly #kinds = new Uint16Array(0x10000);
  readonly #changed: string[] = [];

  constructor(form: UnicodeForm, joins: RegExp) {
    this.#form = form;
    this.#joins = joins;
  }

  kind(code: number): number {
    return this.#kinds[code] || this.#find(code);
  }

  changed(kind: number): string {
    return this.#changed[kind - 3]!;
  }

  #find(code: number): number {
    const char = String.fromCharCode(code);
    const to = char.normalize(this.#form);
    // Halves of surrogate pairs, and what does not decompose alone but may compose, take the long way.
    if ((code & 0xf800) === 0xd800 || this.#joins.test(char)) this.#kinds[code] = JOINING;
    else this.#kinds[code] = to === char ? SAME : 2 + this.#changed.push(to);
    return this.#kinds[code]!;
  }
}

const JOINING = 1;
const SAME = 2;

export function unicodeForm(form: UnicodeForm): Normalizer {
  const decomposed = form === "NFC" || form === "NFD" ? "NFD" : "NFKD";
  const composes = form === "NFC" || form === "NFKC";
  const runs = composes ? RUN : DECOMPOSED_RUN;
  const singles = new SingleForms(form, composes ? JOINS : DECOMPOSED_JOINS);
  return (piece) => {
    const { text } = piece;
    if (isAscii(text)) return piece;
    const out = new Rewriter(piece);
    let kept = 0;
    for (let at = 0; at < text.length; ) {
      const kind = singles.kind(text.charCodeAt(at));
      if (kind !== JOINING && (at + 1 === text.length || singles.kind(text.charCodeAt(at + 1)) !== JOINING)) {
        if (kind !== SAME) {
          out.copy(kept, at);
          out.emit(singles.changed(kind), at);
          kept = at + 1;
        }
        at++;
        continue;
      }
      out.copy(kept, at);
      runs.lastIndex = at;
      const run = runs.exec(text)![0];
      const to = normalizeRun(run, form);
      if (to === run) out.copy(at, at + run.length);
      else if (charLength(run, 0) === run.length) out.emit(to, at);
      else rewriteRun(out, piece, at, run, to, decomposed, composes);
      at += run.length;
      kept = at;
    }
    out.copy(kept, text.length);
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
  to: string,
  decomposed: "NFD" | "NFKD",
  composes: boolean,
): void {
  /** The changes of each character, in order. */
  const pool = new Map<string, { changes: number[]; used: number }>();
  const olds: number[] = [];
  let position = at;
  for (const old of run) {
    olds.push(position);
    position += old.length;
    let change = 0;
    for (const char of old.normalize(decomposed)) {
      const entry = pool.get(char);
      if (entry) entry.changes.push(change);
      else pool.set(char, { changes: [change], used: 0 });
      change = 1;
    }
  }
  const take = (char: string): number => {
    const entry = pool.get(char);
    return entry?.changes[entry.used++] ?? 1;
  };
  let next = 0;
  for (const char of to) {
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
