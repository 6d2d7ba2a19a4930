import { formatError } from "../errors.ts";
import { rare } from "../load/rare.ts";
import { knownScanner, type Scanner } from "./scanners.ts";

/** Something that finds matches from left to right. */
export type Pattern = {
  /** Calls `visit(start, end)` for each match, in order, without overlap. */
  each(text: string, visit: (start: number, end: number) => void): void;
};

/** A literal string; an empty one never matches. */
export function literalPattern(literal: string): Pattern {
  return {
    each(text, visit) {
      if (!literal) return;
      for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length)) {
        visit(at, at + literal.length);
      }
    },
  };
}

/** An Oniguruma pattern: by a hand-written scanner where it is a known one, by the engine otherwise. */
export function regexPattern(source: string, where: string): Pattern {
  if (source.length > 100_000) throw formatError("TK_REGEX", where, `a pattern of ${source.length} characters`);
  const scanner = knownScanner(source);
  return scanner ? scanning(scanner) : rare("regex", where).compileRegex(source, where);
}

/** The matches of a scanner, which never matches nothing. */
export function scanning(scanner: Scanner): Pattern {
  return {
    each(text, visit) {
      for (let at = 0; at < text.length; ) {
        const end = scanner(text, at);
        if (end > at) {
          visit(at, end);
          at = end;
        } else at += text.codePointAt(at)! > 0xffff ? 2 : 1;
      }
    },
  };
}

/** Tries each position; an empty match counts and moves on by one character. */
export function eachMatch(
  text: string,
  matchAt: (at: number) => number,
  visit: (start: number, end: number) => void,
): void {
  let at = 0;
  while (at <= text.length) {
    const end = at < text.length || text.length === 0 ? matchAt(at) : -1;
    if (end >= 0) visit(at, end);
    if (end > at) at = end;
    else at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  }
}
