import { type EncodingColumns, emptyColumns, joinColumns } from "../encoding.ts";
import { charLength } from "../text/aligned-text.ts";

/** Adds special tokens and adjusts offsets. Takes one part per text, returns parts that are then joined. */
export type PostProcessor = {
  /** How many tokens are added to one text or to a pair. */
  added(pair: boolean): number;
  process(parts: EncodingColumns[], addSpecial: boolean, spaces: SpaceCounter): EncodingColumns[];
};

/**
 * Leading and trailing spaces (in the byte-level alphabet or real) of a token. `start` and `end` are its offsets in text `part`: an
 * added token that takes whitespace along has more of it in the text than in the vocabulary.
 */
export type SpaceCounter = {
  count(id: number, start: number, end: number, part: number): readonly [leading: number, trailing: number];
  texts: readonly string[];
};

/** Columns of special tokens; made once per processor, since joining copies them. */
function specials(ids: readonly number[], typeId: number): EncodingColumns {
  const columns = emptyColumns(ids.length);
  columns.ids.set(ids);
  columns.typeIds.fill(typeId);
  columns.specialMask.fill(1);
  return columns;
}

/** Takes the spaces that a token begins and ends with out of its offsets. */
export function trimOffsets(
  columns: EncodingColumns,
  part: number,
  addPrefixSpace: boolean,
  spaces: SpaceCounter,
): void {
  const { ids, offsets } = columns;
  const text = spaces.texts[part]!;
  for (let i = 0; i < ids.length; i++) {
    let start = offsets[2 * i]!;
    let end = offsets[2 * i + 1]!;
    const [leading, trailing] = spaces.count(ids[i]!, start, end, part);
    if (leading === 0 && trailing === 0) continue;
    // The one space that the pre-tokenizer put in front is not in the text.
    const added = (i === 0 || start === 0) && addPrefixSpace && leading === 1;
    if (leading > 0 && !added) start = Math.min(forward(text, start, leading), end);
    if (trailing > 0 && end >= trailing) end = Math.max(backward(text, end, trailing), start);
    offsets[2 * i] = start;
    offsets[2 * i + 1] = end;
  }
}

/** `count` characters on, counted as the reference does: one for each space of the token, whatever stands there in the text. */
function forward(text: string, at: number, count: number): number {
  let to = at;
  for (let n = 0; n < count; n++) to += charLength(text, to);
  return to;
}

function backward(text: string, at: number, count: number): number {
  let to = at;
  for (let n = 0; n < count; n++) to -= to > 1 && charLength(text, to - 2) === 2 ? 2 : 1;
  return to;
}

/** ByteLevel: offsets only. */
export function byteLevelProcessor(trim: boolean, addPrefixSpace: boolean): PostProcessor {
  return {
    added: () => 0,
    process(parts, _, spaces) {
      if (trim) for (const [i, part] of parts.entries()) trimOffsets(part, i, addPrefixSpace, spaces);
      return parts;
    },
  };
}

/** `[CLS] A [SEP] B [SEP]`, type 1 for B and its separator. */
export function bertProcessor(cls: number, sep: number): PostProcessor {
  const [first, middle, last] = [specials([cls], 0), specials([sep], 0), specials([sep], 1)];
  return {
    added: (pair) => (pair ? 3 : 2),
    process(parts, addSpecial) {
      if (!addSpecial) return parts;
      return parts.map((part, i) => joinColumns(i === 0 ? [first, part, middle] : [part, last]));
    },
  };
}

/** `<s> A </s></s> B </s>`, all of type 0. */
export function robertaProcessor(cls: number, sep: number, trim: boolean, addPrefixSpace: boolean): PostProcessor {
  const [start, end] = [specials([cls], 0), specials([sep], 0)];
  return {
    added: (pair) => (pair ? 4 : 2),
    process(parts, addSpecial, spaces) {
      parts.forEach((part, i) => {
        if (trim) trimOffsets(part, i, addPrefixSpace, spaces);
        part.typeIds.fill(0);
      });
      if (!addSpecial) return parts;
      return parts.map((part, i) => joinColumns([i === 0 ? start : end, part, end]));
    },
  };
}

export type TemplatePiece = { sequence: 0 | 1; typeId: number } | { ids: readonly number[]; typeId: number };

/** A literal order of texts and special tokens. */
export function templateProcessor(single: readonly TemplatePiece[], pair: readonly TemplatePiece[]): PostProcessor {
  const made = new Map<TemplatePiece, EncodingColumns>();
  for (const piece of [...single, ...pair]) if ("ids" in piece) made.set(piece, specials(piece.ids, piece.typeId));
  const count = (pieces: readonly TemplatePiece[]) => pieces.reduce((n, p) => n + ("ids" in p ? p.ids.length : 0), 0);
  return {
    added: (isPair) => count(isPair ? pair : single),
    process(parts, addSpecial) {
      const out: EncodingColumns[] = [];
      for (const piece of parts.length === 2 ? pair : single) {
        if ("ids" in piece) {
          if (addSpecial) out.push(made.get(piece)!);
          continue;
        }
        const part = parts[piece.sequence];
        if (!part) continue;
        part.typeIds.fill(piece.typeId);
        out.push(part);
      }
      return out;
    },
  };
}

export function processorSequence(steps: readonly PostProcessor[]): PostProcessor {
  return {
    added: (pair) => steps.reduce((n, step) => n + step.added(pair), 0),
    process: (parts, addSpecial, spaces) => steps.reduce((p, step) => step.process(p, addSpecial, spaces), parts),
  };
}
