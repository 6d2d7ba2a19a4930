import type { AlignedText } from "../text/aligned-text.ts";

/** Splits one piece of normalised text; pushes what it makes of it, empty pieces left out by the caller. */
export type PreTokenizer = (piece: AlignedText, out: AlignedText[]) => void;

/** One pre-tokenizer after the other. */
export function inSequence(steps: readonly PreTokenizer[]): PreTokenizer {
  if (steps.length === 1) return steps[0]!;
  return (piece, out) => {
    let pieces = [piece];
    for (const step of steps) {
      const next: AlignedText[] = [];
      for (const p of pieces) if (p.text) step(p, next);
      pieces = next;
    }
    for (const p of pieces) out.push(p);
  };
}
