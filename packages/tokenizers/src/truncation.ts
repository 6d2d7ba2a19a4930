import { type EncodingColumns, sliceColumns } from "./encoding.ts";
import { TokenizerError } from "./errors.ts";

/** How long texts are cut. */
export type Truncation = {
  /** Tokens of the whole result, those of the template included. */
  length: number;
  side: "right" | "left";
  /** Which of a pair is cut. */
  strategy: "longest" | "first" | "second";
  /** How many tokens neighbouring overflow pieces share. */
  stride: number;
};

/** A piece of an encoding, and the pieces that were cut off. */
export type Cut = { kept: EncodingColumns; overflow: EncodingColumns[] };

/** Cuts one or two sequences to `room` tokens together. */
export function truncate(parts: readonly EncodingColumns[], room: number, truncation: Truncation): Cut[] {
  const lengths = parts.map((p) => p.ids.length);
  const total = lengths.reduce((a, b) => a + b, 0);
  if (total <= room) return parts.map((kept) => ({ kept, overflow: [] }));
  const targets = [...lengths];
  if (room > 0 && truncation.strategy === "longest" && parts.length === 2) {
    let [small, large] = [Math.min(...lengths), Math.max(...lengths)];
    large = small > room ? small : Math.max(small, room - small);
    if (small + large > room) {
      small = Math.floor(room / 2);
      large = small + (room % 2);
    }
    [targets[0], targets[1]] = lengths[0]! > lengths[1]! ? [large, small] : [small, large];
  } else if (room <= 0) {
    targets.fill(0);
  } else {
    const which = truncation.strategy === "second" ? 1 : 0;
    const excess = total - room;
    if (truncation.strategy === "longest") targets[0] = room;
    else if ((lengths[which] ?? 0) > excess) targets[which]! -= excess;
    else {
      throw new TokenizerError("TokenizerInputError", "TK_TRUNCATION", {
        what: `cutting only the ${truncation.strategy} text cannot remove ${excess} tokens: it has ${lengths[which] ?? 0}`,
        hint: 'use the strategy "longest", or a larger length',
        details: { lengths, room },
      });
    }
  }
  return parts.map((part, i) => cut(part, targets[i]!, truncation));
}

function cut(part: EncodingColumns, length: number, { side, stride }: Truncation): Cut {
  const n = part.ids.length;
  if (n <= length) return { kept: part, overflow: [] };
  if (length <= 0) return { kept: sliceColumns(part, 0, 0), overflow: [part] };
  if (stride >= length) {
    throw new TokenizerError("ArgumentError", "TK_PARAM", {
      what: `truncation: stride ${stride} is not less than the ${length} tokens that are left of the length`,
      hint: "use a smaller stride or a larger length",
    });
  }
  const pieces: EncodingColumns[] = [];
  const step = length - stride;
  if (side === "right") {
    for (let from = 0; ; from += step) {
      pieces.push(sliceColumns(part, from, Math.min(from + length, n)));
      if (from + length >= n) break;
    }
  } else {
    for (let to = n; ; to -= step) {
      pieces.push(sliceColumns(part, Math.max(0, to - length), to));
      if (to - length <= 0) break;
    }
  }
  return { kept: pieces[0]!, overflow: pieces.slice(1) };
}
