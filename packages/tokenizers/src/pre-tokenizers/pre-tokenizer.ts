import type { AlignedText } from "../text/aligned-text.ts";

/** Takes a stretch of a piece, which is not empty. */
export type Emit = (piece: AlignedText, from: number, to: number) => void;

/** Splits one piece of normalised text, which is not empty, and emits what it makes of it in order. */
export type PreTokenizer = (piece: AlignedText, emit: Emit) => void;

/** One pre-tokenizer after the other. */
export function inSequence(steps: readonly PreTokenizer[]): PreTokenizer {
  const [first, ...rest] = steps;
  if (first === undefined) return (piece, emit) => emit(piece, 0, piece.text.length);
  if (rest.length === 0) return first;
  const next = inSequence(rest);
  return (piece, emit) => first(piece, (part, from, to) => next(part.slice(from, to), emit));
}
