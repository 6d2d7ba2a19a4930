import { formatError, TokenizerError } from "../errors.ts";
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

let engine: typeof import("./engine.ts") | undefined;

/** Loads what compiles arbitrary patterns, and UnicodeScripts: the tokenizers that are used most do without. */
export async function loadRegexEngine(): Promise<void> {
  engine ??= await import("./engine.ts");
}

/** Whether {@link regexPattern} needs {@link loadRegexEngine} for a pattern. */
export function needsRegexEngine(source: string): boolean {
  return knownScanner(source) === undefined;
}

/** An Oniguruma pattern: by a hand-written scanner where it is a known one, by the engine otherwise. */
export function regexPattern(source: string, where: string): Pattern {
  if (source.length > 100_000) throw formatError("TK_REGEX", where, `a pattern of ${source.length} characters`);
  const scanner = knownScanner(source);
  return scanner ? scanning(scanner) : regexEngine(where).compileRegex(source, where);
}

/** What {@link loadRegexEngine} has loaded. */
export function regexEngine(where: string): typeof import("./engine.ts") {
  if (engine) return engine;
  throw new TokenizerError("FeatureMissingError", "TK_REGEX_ENGINE", {
    what: "the regex engine is not loaded",
    where,
    hint: "load the tokenizer with Tokenizer.load",
  });
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
