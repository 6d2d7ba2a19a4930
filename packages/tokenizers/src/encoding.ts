/** The columns of an encoding; all have one entry per token, `offsets` two. */
export type EncodingColumns = {
  ids: Int32Array;
  /** Start and end of each token in the text, in UTF-16 units; 0 0 for tokens that were not in the text. */
  offsets: Int32Array;
  /** Which word a token belongs to; -1 for none. */
  words: Int32Array;
  /** 0 for the first text of a pair, 1 for the second. */
  typeIds: Uint8Array;
  /** 1 for tokens that the template added, and padding. */
  specialMask: Uint8Array;
  /** 0 for padding, 1 otherwise. */
  mask: Uint8Array;
};

/** What a tokenizer makes of one text (or pair). */
export class Encoding implements EncodingColumns {
  readonly ids: Int32Array;
  readonly offsets: Int32Array;
  readonly words: Int32Array;
  readonly typeIds: Uint8Array;
  readonly specialMask: Uint8Array;
  readonly mask: Uint8Array;
  /** What truncation cut off, in pieces of the same length. */
  readonly overflow: readonly Encoding[];
  /** Characters left out because the vocabulary has neither them nor an unknown token nor bytes. */
  readonly dropped: number;
  /** Lone surrogates that were read as U+FFFD. */
  readonly replaced: number;
  readonly #texts: readonly string[];
  readonly #tokenOf: (id: number) => string;

  constructor(
    columns: EncodingColumns,
    extra: {
      texts: readonly string[];
      tokenOf: (id: number) => string;
      overflow?: readonly Encoding[];
      dropped?: number;
      replaced?: number;
    },
  ) {
    this.ids = columns.ids;
    this.offsets = columns.offsets;
    this.words = columns.words;
    this.typeIds = columns.typeIds;
    this.specialMask = columns.specialMask;
    this.mask = columns.mask;
    this.overflow = extra.overflow ?? [];
    this.dropped = extra.dropped ?? 0;
    this.replaced = extra.replaced ?? 0;
    this.#texts = extra.texts;
    this.#tokenOf = extra.tokenOf;
  }

  get length(): number {
    return this.ids.length;
  }

  /** The tokens as the vocabulary writes them. */
  get tokens(): string[] {
    return Array.from(this.ids, this.#tokenOf);
  }

  /** The offsets in code points, as Python counts them. */
  get codePointOffsets(): Int32Array {
    const maps = this.#texts.map(codePointIndex);
    return this.offsets.map((unit, i) => maps[this.typeIds[i >> 1]!]?.[unit] ?? unit);
  }

  /** The stretch of text that token `i` stands for. */
  span(i: number): string {
    const text = this.#texts[this.typeIds[i] ?? 0] ?? this.#texts[0] ?? "";
    return text.slice(this.offsets[2 * i], this.offsets[2 * i + 1]);
  }
}

/** Code point index of every UTF-16 index; undefined where both are equal. */
function codePointIndex(text: string): Int32Array | undefined {
  if (!/[\ud800-\udbff]/.test(text)) return undefined;
  const map = new Int32Array(text.length + 1);
  let points = 0;
  for (let i = 0; i < text.length; i++) {
    map[i] = points;
    const low = i + 1 < text.length && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && low) map[++i] = points;
    points++;
  }
  map[text.length] = points;
  return map;
}

/** Columns in one buffer: many small allocations cost more than the encoding of a short text. */
export function emptyColumns(length: number): EncodingColumns {
  const buffer = new ArrayBuffer(length * 19);
  const columns = {
    ids: new Int32Array(buffer, 0, length),
    offsets: new Int32Array(buffer, 4 * length, 2 * length),
    words: new Int32Array(buffer, 12 * length, length),
    typeIds: new Uint8Array(buffer, 16 * length, length),
    specialMask: new Uint8Array(buffer, 17 * length, length),
    mask: new Uint8Array(buffer, 18 * length, length),
  };
  columns.words.fill(-1);
  columns.mask.fill(1);
  return columns;
}

export function sliceColumns(c: EncodingColumns, from: number, to: number): EncodingColumns {
  return {
    ids: c.ids.slice(from, to),
    offsets: c.offsets.slice(2 * from, 2 * to),
    words: c.words.slice(from, to),
    typeIds: c.typeIds.slice(from, to),
    specialMask: c.specialMask.slice(from, to),
    mask: c.mask.slice(from, to),
  };
}

export function joinColumns(parts: readonly EncodingColumns[]): EncodingColumns {
  if (parts.length === 1) return parts[0]!;
  const out = emptyColumns(parts.reduce((sum, p) => sum + p.ids.length, 0));
  let at = 0;
  for (const part of parts) {
    out.ids.set(part.ids, at);
    out.offsets.set(part.offsets, 2 * at);
    out.words.set(part.words, at);
    out.typeIds.set(part.typeIds, at);
    out.specialMask.set(part.specialMask, at);
    out.mask.set(part.mask, at);
    at += part.ids.length;
  }
  return out;
}
