import { classTable, LETTER, NUMBER, SPACE } from "../unicode/classes.ts";

/** Returns the end of the match that starts exactly at `at`, or -1. */
export type Scanner = (text: string, at: number) => number;

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const CLIP = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
const CLIP_SPECIALS = "<\\|startoftext\\|>|<\\|endoftext\\|>|";
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const tail = (numbers: string, end = "") =>
  `|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*${end}|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/**
 * Hand-written matchers of the patterns that published tokenizers use: exact, linear, and a few times faster than RegExp.
 */
export function knownScanner(pattern: string): Scanner | undefined {
  switch (pattern) {
    case GPT2:
      return gpt2;
    case CLIP:
    case CLIP.replace("[\\p{L}]", "\\p{L}").replace("[\\p{N}]", "\\p{N}"):
      return clip;
    case CLIP_SPECIALS + CLIP:
      return (text, at) => {
        for (const special of ["<|startoftext|>", "<|endoftext|>"])
          if (text.startsWith(special, at)) return at + special.length;
        return clip(text, at);
      };
    case CONTRACTIONS + tail("\\p{N}{1,3}"):
      return modern(3, false);
    case CONTRACTIONS + tail("\\p{N}{1,3}", "|\\s+(?![\\s\\S])"):
      return modern(3, true);
    case CONTRACTIONS + tail("\\p{N}"):
      return modern(1, false);
    case "\\s+":
      return (text, at) => {
        const end = run(text, at, SPACE);
        return end > at ? end : -1;
      };
    default:
      return undefined;
  }
}

function classAt(text: string, at: number): number {
  const c = text.charCodeAt(at);
  if (c >= 0xd800 && c < 0xdc00) return classTable()[text.codePointAt(at)!]!;
  return classTable()[c]!;
}

export function unitsAt(text: string, at: number): number {
  const c = text.charCodeAt(at);
  return c >= 0xd800 && c < 0xdc00 && at + 1 < text.length ? 2 : 1;
}

/** End of the run of characters whose class has one of `bits`. */
export function run(text: string, at: number, bits: number): number {
  const table = classTable();
  let i = at;
  while (i < text.length) {
    const c = text.charCodeAt(i);
    if (c >= 0xd800 && c < 0xdc00) {
      if ((table[text.codePointAt(i)!]! & bits) === 0) break;
      i += 2;
    } else {
      if ((table[c]! & bits) === 0) break;
      i++;
    }
  }
  return i;
}

/** End of the run of characters whose class has none of `bits`. */
export function runWithout(text: string, at: number, bits: number): number {
  const table = classTable();
  let i = at;
  while (i < text.length) {
    const c = text.charCodeAt(i);
    if (c >= 0xd800 && c < 0xdc00) {
      if (table[text.codePointAt(i)!]! & bits) break;
      i += unitsAt(text, i);
    } else {
      if (table[c]! & bits) break;
      i++;
    }
  }
  return i;
}

const ANY = LETTER | NUMBER | SPACE;

/** End of 's 't 're 've 'm 'll 'd at `at`, which holds an apostrophe; -1 otherwise. */
function contraction(text: string, at: number): number {
  switch (text.charCodeAt(at + 1)) {
    case 115: // s
    case 116: // t
    case 109: // m
    case 100: // d
      return at + 2;
    case 114: // re
    case 118: // ve
      return text.charCodeAt(at + 2) === 101 ? at + 3 : -1;
    case 108: // ll
      return text.charCodeAt(at + 2) === 108 ? at + 3 : -1;
    default:
      return -1;
  }
}

/** The same in any case; U+017F folds to s. */
export function contractionAnyCase(text: string, at: number): number {
  if (text.charCodeAt(at + 1) === 0x17f) return at + 2;
  const next = text.charCodeAt(at + 1) | 32;
  if (text.charCodeAt(at + 1) > 127) return -1;
  if (next === 115 || next === 116 || next === 109 || next === 100) return at + 2;
  const second = text.charCodeAt(at + 2);
  if (second > 127) return -1;
  if ((next === 114 || next === 118) && (second | 32) === 101) return at + 3;
  return next === 108 && (second | 32) === 108 ? at + 3 : -1;
}

/** `\s+(?!\S)|\s+`: whitespace up to the end of the text, or all but its last character, or that one. */
export function whitespace(text: string, at: number): number {
  const end = run(text, at, SPACE);
  return end < text.length && end > at + 1 ? end - 1 : end;
}

const gpt2: Scanner = (text, at) => {
  const c = text.charCodeAt(at);
  if (c === 39) {
    const end = contraction(text, at);
    if (end > 0) return end;
  }
  let from = at;
  if (c === 32 && at + 1 < text.length) {
    if (classAt(text, at + 1) & SPACE) return whitespace(text, at);
    from = at + 1;
  }
  const kind = classAt(text, from);
  if (kind & LETTER) return run(text, from, LETTER);
  if (kind & NUMBER) return run(text, from, NUMBER);
  if (kind & SPACE) return whitespace(text, at);
  return runWithout(text, from, ANY);
};

const clip: Scanner = (text, at) => {
  if (text.charCodeAt(at) === 39) {
    const end = contraction(text, at);
    if (end > 0) return end;
  }
  const kind = classAt(text, at);
  if (kind & LETTER) return run(text, at, LETTER);
  if (kind & NUMBER) return at + unitsAt(text, at);
  if (kind & SPACE) return -1;
  return runWithout(text, at, ANY);
};

/** Llama 3 (numbers of up to three digits), Qwen (one digit), and cl100k, which keeps the whitespace at the end whole. */
function modern(digits: number, wholeEnd: boolean): Scanner {
  return (text, at) => {
    const c = text.charCodeAt(at);
    if (c === 39) {
      const end = contractionAnyCase(text, at);
      if (end > 0) return end;
    }
    const kind = classAt(text, at);
    if (kind & LETTER) return run(text, at, LETTER);
    if (kind & NUMBER) {
      let end = at;
      for (let n = 0; n < digits && end < text.length && classAt(text, end) & NUMBER; n++) end += unitsAt(text, end);
      return end;
    }
    const next = at + unitsAt(text, at);
    if (c !== 10 && c !== 13 && next < text.length && classAt(text, next) & LETTER) return run(text, next, LETTER);
    const from = c === 32 ? next : at;
    if (from < text.length && (classAt(text, from) & ANY) === 0) {
      let end = runWithout(text, from, ANY);
      while (text.charCodeAt(end) === 10 || text.charCodeAt(end) === 13) end++;
      return end;
    }
    // \s*[\r\n]+ : as far as the last line break of this run of whitespace.
    const end = run(text, at, SPACE);
    if (wholeEnd && end === text.length) return end;
    for (let i = end - 1; i >= at; i--) {
      const b = text.charCodeAt(i);
      if (b === 10 || b === 13) return i + 1;
    }
    return whitespace(text, at);
  };
}
