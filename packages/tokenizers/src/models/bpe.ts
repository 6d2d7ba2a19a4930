import { charLength } from "../text/aligned-text.ts";
import { BYTE_TO_CHAR, toByteChars, utf8, utf8Length } from "../text/utf8.ts";
import { mergeSymbols } from "./merge.ts";
import { MergeTable } from "./merge-table.ts";
import type { Model, WordTokens } from "./model.ts";

export type BpeOptions = {
  vocab: ReadonlyMap<string, number>;
  /** Ids of both parts and of what they make together, three numbers a merge, in order of rank. */
  merges: Int32Array;
  /** Ranks of the merges where several share one; otherwise their places in the list. */
  ranks?: Int32Array | undefined;
  unknown?: string | undefined;
  /** Put before every symbol but the first of a word. */
  prefix?: string | undefined;
  /** Put behind the last symbol of a word: `</w>` in CLIP. */
  suffix?: string | undefined;
  fuseUnknown?: boolean | undefined;
  byteFallback?: boolean | undefined;
  ignoreMerges?: boolean | undefined;
  dropout?: number | null | undefined;
};

/** Byte pair encoding (Sennrich et al. 2016), with the variants of GPT-2, CLIP and LLaMA. */
export class Bpe implements Model {
  readonly vocab: ReadonlyMap<string, number>;
  dropped = 0;
  readonly #options: BpeOptions;
  readonly #merges: MergeTable;
  readonly #bytes = new Int32Array(256);
  readonly #lastBytes = new Int32Array(256);
  readonly #fallback = new Int32Array(256);
  readonly #unknown: number;
  /** Every byte has a symbol, so a word can be read as bytes without building its byte-level string. */
  readonly #allBytes: boolean;
  #symbols = new Int32Array(64);
  #sizes = new Int32Array(64);
  #from = new Int32Array(64);
  #to = new Int32Array(64);

  constructor(options: BpeOptions) {
    this.#options = options;
    const { vocab, merges, ranks } = options;
    this.vocab = vocab;
    this.#merges = new MergeTable(merges.length / 3);
    for (let at = 0, rank = 0; at < merges.length; at += 3, rank++) {
      this.#merges.set(merges[at]!, merges[at + 1]!, ranks?.[rank] ?? rank, merges[at + 2]!);
    }
    this.#unknown = options.unknown === undefined ? -1 : vocab.get(options.unknown)!;
    for (let b = 0; b < 256; b++) {
      const char = BYTE_TO_CHAR[b]!;
      this.#bytes[b] = vocab.get(char) ?? -1;
      this.#lastBytes[b] = vocab.get(char + (options.suffix ?? "")) ?? -1;
      this.#fallback[b] = vocab.get(`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`) ?? -1;
    }
    this.#allBytes = !options.prefix && !this.#bytes.includes(-1) && !this.#lastBytes.includes(-1);
  }

  tokenize(word: string): WordTokens {
    const { vocab } = this;
    const { prefix, suffix, fuseUnknown, byteFallback, ignoreMerges } = this.#options;
    if (ignoreMerges) {
      const id = vocab.get(word);
      if (id !== undefined) return [id, 0, word.length];
    }
    this.#reserve(word.length * 3);
    let count = 0;
    // An unknown character waits for its neighbours, to be fused with them.
    let unknownFrom = -1;
    let unknownTo = 0;
    const add = (id: number, from: number, to: number) => {
      this.#symbols[count] = id;
      this.#sizes[count] = 1;
      this.#from[count] = from;
      this.#to[count++] = to;
    };
    for (let i = 0; i < word.length; ) {
      const end = i + charLength(word, i);
      let symbol = word.slice(i, end);
      if (prefix && i > 0) symbol = prefix + symbol;
      if (suffix && end === word.length) symbol += suffix;
      const id = vocab.get(symbol);
      if (id !== undefined) {
        if (unknownFrom >= 0) add(this.#unknown, unknownFrom, unknownTo);
        unknownFrom = -1;
        add(id, i, end);
      } else {
        const bytes = byteFallback ? utf8(symbol) : undefined;
        if (bytes?.every((b) => this.#fallback[b]! >= 0)) {
          this.#reserve(count + bytes.length + 3 * (word.length - i));
          for (const b of bytes) add(this.#fallback[b]!, i, end);
        } else if (this.#unknown >= 0) {
          if (unknownFrom >= 0 && !fuseUnknown) {
            add(this.#unknown, unknownFrom, unknownTo);
            unknownFrom = -1;
          }
          if (unknownFrom < 0) unknownFrom = i;
          unknownTo = end;
        } else this.dropped++;
      }
      i = end;
    }
    if (unknownFrom >= 0) add(this.#unknown, unknownFrom, unknownTo);
    return this.#merged(count);
  }

  tokenizeBytes(word: string): WordTokens {
    if (!this.#allBytes) return this.#viaByteChars(word);
    if (this.#options.ignoreMerges) {
      const id = this.vocab.get(toByteChars(word));
      if (id !== undefined) return [id, 0, word.length];
    }
    this.#reserve(word.length * 3);
    let count = 0;
    for (let i = 0; i < word.length; ) {
      const code = word.codePointAt(i)!;
      const size = code > 0xffff ? 2 : 1;
      if (code < 0x80) {
        this.#symbols[count++] = code;
      } else if (code < 0x800) {
        this.#symbols[count++] = 0xc0 | (code >> 6);
        this.#symbols[count++] = 0x80 | (code & 63);
      } else if (code < 0x10000) {
        this.#symbols[count++] = 0xe0 | (code >> 12);
        this.#symbols[count++] = 0x80 | ((code >> 6) & 63);
        this.#symbols[count++] = 0x80 | (code & 63);
      } else {
        this.#symbols[count++] = 0xf0 | (code >> 18);
        this.#symbols[count++] = 0x80 | ((code >> 12) & 63);
        this.#symbols[count++] = 0x80 | ((code >> 6) & 63);
        this.#symbols[count++] = 0x80 | (code & 63);
      }
      for (let k = count - utf8Length(code); k < count; k++) {
        this.#sizes[k] = 1;
        this.#from[k] = i;
        this.#to[k] = i + size;
      }
      i += size;
    }
    for (let k = 0; k < count; k++) {
      const byte = this.#symbols[k]!;
      this.#symbols[k] = k === count - 1 ? this.#lastBytes[byte]! : this.#bytes[byte]!;
    }
    return this.#merged(count);
  }

  /** The slow way: tokens of the byte-level string, their spans brought back to characters. */
  #viaByteChars(word: string): WordTokens {
    const spans: number[] = [];
    for (let i = 0; i < word.length; ) {
      const code = word.codePointAt(i)!;
      const size = code > 0xffff ? 2 : 1;
      for (let k = 0; k < utf8Length(code); k++) spans.push(i, i + size);
      i += size;
    }
    const tokens = [...this.tokenize(toByteChars(word))];
    for (let t = 0; t < tokens.length; t += 3) {
      const [from, to] = [tokens[t + 1]!, tokens[t + 2]!];
      tokens[t + 1] = spans[2 * from] ?? 0;
      tokens[t + 2] = spans[2 * to - 1] ?? 0;
    }
    return tokens;
  }

  #merged(count: number): WordTokens {
    const kept = mergeSymbols(this.#symbols, this.#sizes, count, this.#merges);
    const tokens: number[] = [];
    let at = 0;
    for (let i = 0; i < kept; i++) {
      const size = this.#sizes[i]!;
      tokens.push(this.#symbols[i]!, this.#from[at]!, this.#to[at + size - 1]!);
      at += size;
    }
    return tokens;
  }

  #reserve(count: number): void {
    if (this.#symbols.length >= count) return;
    const wider = (old: Int32Array) => {
      const next = new Int32Array(count * 2);
      next.set(old);
      return next;
    };
    this.#symbols = wider(this.#symbols);
    this.#sizes = wider(this.#sizes);
    this.#from = wider(this.#from);
    this.#to = wider(this.#to);
  }

  toJSON(): Record<string, unknown> {
    const o = this.#options;
    const names = new Map(Array.from(this.vocab, ([token, id]) => [id, token]));
    const pair = (_: unknown, i: number) => [names.get(o.merges[3 * i]!)!, names.get(o.merges[3 * i + 1]!)!];
    return {
      type: "BPE",
      dropout: o.dropout ?? null,
      unk_token: o.unknown ?? null,
      continuing_subword_prefix: o.prefix ?? null,
      end_of_word_suffix: o.suffix ?? null,
      fuse_unk: o.fuseUnknown ?? false,
      byte_fallback: o.byteFallback ?? false,
      ignore_merges: o.ignoreMerges ?? false,
      vocab: vocabJson(this.vocab),
      merges: Array.from({ length: o.merges.length / 3 }, pair),
    };
  }
}

/** Vocabulary as a JSON object in order of id. */
export function vocabJson(vocab: ReadonlyMap<string, number>): Record<string, number> {
  const sorted = [...vocab].sort((a, b) => a[1] - b[1]);
  // fromEntries defines own properties, so that a token named __proto__ is one too.
  return Object.fromEntries(sorted);
}
