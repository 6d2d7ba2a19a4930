import type { Pattern } from "../regex/pattern.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";

export const SPLIT_BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

/** Splits at the matches of a pattern (or, inverted, at what lies between them). */
export function split(pattern: Pattern, behavior: SplitBehavior, invert: boolean): PreTokenizer {
  if (behavior === "Isolated" || behavior === "Removed") return apart(pattern, behavior === "Isolated", invert);
  return (piece, emit) => {
    const { text } = piece;
    const push = (from: number, to: number) => {
      if (to > from) emit(piece, from, to);
    };
    // Spans arrive in order and cover the text; `match` says whether the span is a delimiter.
    const sink = SINKS[behavior](push);
    let last = 0;
    pattern.each(text, (start, end) => {
      if (last !== start) sink(last, start, invert);
      sink(start, end, !invert);
      last = end;
    });
    if (last !== text.length) sink(last, text.length, invert);
    sink(text.length, text.length, undefined);
  };
}

/** Matches and what lies between them, each on its own; without `both` the delimiters are left out. */
function apart(pattern: Pattern, both: boolean, invert: boolean): PreTokenizer {
  const matches = both || invert;
  const gaps = both || !invert;
  return (piece, emit) => {
    let last = 0;
    pattern.each(piece.text, (start, end) => {
      if (gaps && start > last) emit(piece, last, start);
      if (matches && end > start) emit(piece, start, end);
      last = end;
    });
    if (gaps && piece.text.length > last) emit(piece, last, piece.text.length);
  };
}

type Sink = (from: number, to: number, match: boolean | undefined) => void;

/** `match` is undefined once, at the end. */
const SINKS: Record<
  Exclude<SplitBehavior, "Isolated" | "Removed">,
  (push: (from: number, to: number) => void) => Sink
> = {
  Contiguous: (push) => {
    let start = 0;
    let end = 0;
    let previous = false;
    return (from, to, match) => {
      if (match !== previous) {
        push(start, end);
        start = from;
      }
      end = to;
      if (match !== undefined) previous = match;
    };
  },
  MergedWithPrevious: (push) => {
    let start = 0;
    let end = 0;
    let previous = false;
    return (from, to, match) => {
      if (!(match && !previous)) {
        push(start, end);
        start = from;
      }
      end = to;
      previous = match === true;
    };
  },
  MergedWithNext: (push) => {
    // A delimiter waits for the span behind it; of two neighbouring delimiters only the second is taken along.
    let start = -1;
    return (from, to, match) => {
      if (match) {
        if (start >= 0) push(start, from);
        start = from;
        return;
      }
      push(start >= 0 ? start : from, to);
      start = -1;
    };
  },
};
