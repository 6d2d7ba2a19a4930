import { RANGES } from "./ranges.generated.ts";

/** Bits of {@link classOf}. */
export const LETTER = 1;
export const NUMBER = 2;
export const SPACE = 4;
export const PUNCTUATION = 8;
export const NONSPACING = 16;
export const OTHER = 32;
export const MARK = 64;
export const WORD = 128;

const BITS: Record<keyof typeof RANGES, number> = {
  letter: LETTER,
  number: NUMBER,
  space: SPACE,
  punctuation: PUNCTUATION,
  nonspacing: NONSPACING,
  other: OTHER,
  mark: MARK,
  word: WORD,
};

let table: Uint8Array | undefined;

/**
 * One byte of class bits for each of the 0x110000 code points, unpacked on first use (about 2 ms).
 * The classes are those of PyPI tokenizers, so they do not change with the engine's Unicode version.
 */
export function classTable(): Uint8Array {
  if (table) return table;
  table = new Uint8Array(0x110000);
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    const bit = BITS[name];
    forEachRange(name, (from, to) => {
      for (let c = from; c <= to; c++) table![c]! |= bit;
    });
  }
  return table;
}

/** Calls `visit(first, last)` for each range of a class. */
export function forEachRange(name: keyof typeof RANGES, visit: (from: number, to: number) => void): void {
  const text = RANGES[name];
  let at = 0;
  let value = 0;
  let gap = -1;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 97) value = value * 27 + c - 87;
    else if (c <= 57) value = value * 27 + c - 48;
    if (c === 95 || (c >= 65 && c <= 90)) {
      value = value * 27 + (c === 95 ? 26 : c - 65);
      if (gap < 0) gap = value;
      else {
        visit(at + gap, at + gap + value);
        at += gap + value;
        gap = -1;
      }
      value = 0;
    }
  }
}

/** Unicode White_Space: unlike JavaScript's `\s` it has U+0085 and lacks U+FEFF. */
export function isSpace(code: number): boolean {
  if (code <= 32) return code === 32 || (code >= 9 && code <= 13);
  if (code < 0x85) return false;
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}
