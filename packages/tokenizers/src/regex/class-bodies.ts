import { forEachRange } from "../unicode/classes.ts";

/** POSIX classes by name. */
export const POSIX: Record<string, string> = {
  alpha: "\\p{Alphabetic}",
  digit: "\\p{Nd}",
  alnum: "\\p{Alphabetic}\\p{M}\\p{Nd}",
  upper: "\\p{Uppercase}",
  lower: "\\p{Lowercase}",
  punct: "\\p{P}$+<=>^`|~",
  cntrl: "\\p{Cc}",
  ascii: "\\x00-\\x7f",
  xdigit: "0-9A-Fa-f",
  blank: "\\p{Zs}\\t",
};

const bodies = new Map<string, string>();

/** Classes with tables of our own; `wordSet` is \w inside brackets. */
type OwnClass = "letter" | "number" | "space" | "word" | "wordSet";

/** The ranges of one of our own classes as a class body, so that splits do not follow the engine's Unicode version. */
export function ownClass(name: OwnClass): string {
  let body = bodies.get(name);
  if (body === undefined) {
    body = "";
    eachRange(name, (from, to) => {
      body += from === to ? hex(from) : `${hex(from)}-${hex(to)}`;
    });
    bodies.set(name, body);
  }
  return body;
}

/**
 * Oniguruma's \w lacks the joiners that the word class of Rust's regex has; outside of brackets it also matches the
 * superscripts and fractions of Latin-1, as measured.
 */
const LATIN_DIGITS = [0xb2, 0xb3, 0xb9, 0xbc, 0xbd, 0xbe];

function eachRange(name: OwnClass, visit: (from: number, to: number) => void): void {
  if (name !== "word" && name !== "wordSet") {
    forEachRange(name, visit);
    return;
  }
  let extra = name === "word" ? [...LATIN_DIGITS] : [];
  forEachRange("word", (from, to) => {
    for (const c of extra) if (c < from) visit(c, c);
    extra = extra.filter((c) => c > from);
    if (from !== 0x200c) visit(from, to);
  });
}

/** All characters that are not in the class. */
export function complement(name: OwnClass): string {
  let body = "";
  let next = 0;
  eachRange(name, (from, to) => {
    if (from > next) body += `${hex(next)}-${hex(from - 1)}`;
    next = to + 1;
  });
  return `${body}${hex(next)}-\\u{10ffff}`;
}

/** A character as a class body writes it. */
export function hex(code: number): string {
  return `\\u{${code.toString(16)}}`;
}
