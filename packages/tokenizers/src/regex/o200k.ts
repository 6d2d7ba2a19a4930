import { classTable, LETTER, NUMBER, SPACE } from "../unicode/classes.ts";
import { contractionAnyCase, run, runWithout, type Scanner, unitsAt, whitespace } from "./scanners.ts";

const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";

/** The pattern of o200k (GPT-4o and later): words end where a capital follows a small letter. */
export const O200K_PATTERN = `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Bits of the table: the sets that the pattern names UPPER and LOWER. A character may be in both. */
const BIG = 1;
const SMALL = 2;
const ANY = LETTER | NUMBER | SPACE;

let cases: Uint8Array | undefined;

/** Case is the engine's, letters are the reference's. Cased letters and marks lie below U+20000 or above U+E0000. */
function caseTable(): Uint8Array {
  const classes = classTable();
  const table = new Uint8Array(0x110000);
  for (let c = 0; c < table.length; c++) if (classes[c]! & LETTER) table[c] = BIG | SMALL;
  const marked = (pattern: RegExp, bits: number) => {
    for (const [first, end] of [
      [0, 0xd800],
      [0xe000, 0x20000],
      [0xe0000, 0xe1000],
    ] as const) {
      for (let from = first; from < end; from += 4096) {
        const codes = Array.from({ length: Math.min(4096, end - from) }, (_, i) => from + i);
        for (const [char] of String.fromCodePoint(...codes).matchAll(pattern)) table[char.codePointAt(0)!] = bits;
      }
    }
  };
  marked(/[\p{Lu}\p{Lt}]/gu, BIG);
  marked(/\p{Ll}/gu, SMALL);
  marked(/\p{M}/gu, BIG | SMALL);
  return table;
}

const bitsAt = (table: Uint8Array, text: string, at: number): number =>
  at < text.length ? table[text.codePointAt(at)!]! : 0;

function runOf(text: string, from: number, bits: number): number {
  let at = from;
  while (bitsAt(cases!, text, at) & bits) at += unitsAt(text, at);
  return at;
}

/** `UPPER*LOWER+` at `from`, or -1: as many capitals as leave one small letter (or one without case) to the rest. */
function smallWord(text: string, from: number, capitalsEnd: number): number {
  const end = runOf(text, capitalsEnd, SMALL);
  if (end > capitalsEnd) return end;
  for (let at = capitalsEnd; at > from; ) {
    const size = at - 2 >= from && text.codePointAt(at - 2)! > 0xffff ? 2 : 1;
    if (bitsAt(cases!, text, at - size) & SMALL) return at;
    at -= size;
  }
  return -1;
}

function word(text: string, at: number): number {
  const bits = bitsAt(classTable(), text, at);
  const c = text.charCodeAt(at);
  const leads = (bits & (LETTER | NUMBER)) === 0 && c !== 10 && c !== 13;
  const starts = leads ? [at + unitsAt(text, at), at] : [at];
  const capitals = starts.map((start) => runOf(text, start, BIG));
  for (const [i, start] of starts.entries()) {
    const end = smallWord(text, start, capitals[i]!);
    if (end > 0) return end;
  }
  for (const [i, start] of starts.entries()) if (capitals[i]! > start) return capitals[i]!;
  return -1;
}

/** The same, by hand: the pattern's neighbouring repeats cost a backtracking engine cubic time. */
export const o200k: Scanner = (text, at) => {
  cases ??= caseTable();
  const found = word(text, at);
  if (found > 0) {
    const end = text.charCodeAt(found) === 39 ? contractionAnyCase(text, found) : -1;
    return end > 0 ? end : found;
  }
  let end = at;
  for (let n = 0; n < 3 && bitsAt(classTable(), text, end) & NUMBER; n++) end += unitsAt(text, end);
  if (end > at) return end;
  const from = text.charCodeAt(at) === 32 ? at + 1 : at;
  if (from < text.length && (bitsAt(classTable(), text, from) & ANY) === 0) {
    end = runWithout(text, from, ANY);
    for (let c = text.charCodeAt(end); c === 10 || c === 13 || c === 47; c = text.charCodeAt(end)) end++;
    return end;
  }
  end = run(text, at, SPACE);
  for (let i = end - 1; i >= at; i--) {
    const c = text.charCodeAt(i);
    if (c === 10 || c === 13) return i + 1;
  }
  return whitespace(text, at);
};
