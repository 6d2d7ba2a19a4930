import { charLength } from "../text/aligned-text.ts";
import { utf8 } from "../text/utf8.ts";
import type { Model, WordTokens } from "./model.ts";
import { Trie } from "./trie.ts";

/** Kudo 2018, as implemented in SentencePiece: an unknown character costs ten more than the least likely piece. */
const UNKNOWN_PENALTY = 10;

export type UnigramOptions = {
  /** Pieces and log probabilities, by id. */
  pieces: readonly (readonly [string, number])[];
  unknown: number | undefined;
  byteFallback: boolean;
  /** SentencePiece keeps path scores in single precision, PyPI tokenizers in double: near ties differ. */
  single?: boolean | undefined;
  /** Score of a piece where it differs from `pieces`; NaN leaves it out. */
  override?: ReadonlyMap<number, number> | undefined;
  /** Score of the least likely ordinary piece, where it is not the minimum over all. */
  minScore?: number | undefined;
};

/** Unigram language model: the most likely way to cut a word into pieces, by Viterbi. */
export class Unigram implements Model {
  readonly vocab: ReadonlyMap<string, number>;
  dropped = 0;
  readonly #options: UnigramOptions;
  readonly #trie: Trie;
  readonly #scores: Float64Array;
  readonly #unknownScore: number;
  readonly #fallback: Int32Array | undefined;
  #best: Float64Array = new Float64Array(0);
  #ids: Int32Array = new Int32Array(0);
  #starts: Int32Array = new Int32Array(0);

  constructor(options: UnigramOptions) {
    this.#options = options;
    const { pieces, override } = options;
    this.vocab = new Map(pieces.map(([piece], id) => [piece, id]));
    this.#trie = new Trie(pieces.length);
    this.#scores = new Float64Array(pieces.length);
    let min = Infinity;
    for (const [id, [, score]] of pieces.entries()) {
      this.#scores[id] = override?.get(id) ?? score;
      if (score < min) min = score;
    }
    for (const [piece, id] of this.vocab) if (piece && !Number.isNaN(this.#scores[id])) this.#trie.set(piece, id);
    this.#unknownScore = (options.minScore ?? min) - UNKNOWN_PENALTY;
    if (options.single) this.#unknownScore = Math.fround(this.#unknownScore);
    const bytes = Int32Array.from(
      { length: 256 },
      (_, b) => this.vocab.get(`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`) ?? -1,
    );
    if (options.byteFallback) this.#fallback = bytes;
  }

  tokenize(word: string): WordTokens {
    this.#search(word);
    const ids = this.#ids;
    const starts = this.#starts;
    const { unknown } = this.#options;
    // Backwards along the best path; neighbouring unknown characters become one.
    const spans: number[] = [];
    for (let end = word.length; end > 0; ) {
      const id = ids[end]!;
      let start = starts[end]!;
      if (id === UNKNOWN) while (start > 0 && ids[start] === UNKNOWN) start = starts[start]!;
      spans.push(id, start, end);
      end = start;
    }
    const tokens: number[] = [];
    for (let i = spans.length - 3; i >= 0; i -= 3) {
      const [id, start, end] = [spans[i]!, spans[i + 1]!, spans[i + 2]!];
      if (id !== UNKNOWN) tokens.push(id, start, end);
      else this.#unknown(word, start, end, unknown, tokens);
    }
    return tokens;
  }

  #unknown(word: string, start: number, end: number, unknown: number | undefined, tokens: number[]): void {
    const text = word.slice(start, end);
    const known = this.#options.single ? undefined : this.vocab.get(text);
    if (known !== undefined) {
      tokens.push(known, start, end);
      return;
    }
    if (this.#fallback) {
      if (this.#options.single) {
        // SentencePiece gives the span to the last byte of each character, and nothing to the others.
        for (let i = start; i < end; ) {
          const size = charLength(word, i);
          const bytes = utf8(word.slice(i, i + size));
          bytes.forEach((b, k) => {
            tokens.push(this.#fallback![b]!, i, k === bytes.length - 1 ? i + size : i);
          });
          i += size;
        }
        return;
      }
      const bytes = utf8(text);
      if (bytes.every((b) => this.#fallback![b]! >= 0)) {
        for (const b of bytes) tokens.push(this.#fallback[b]!, start, end);
        return;
      }
    }
    if (unknown === undefined) this.dropped += [...text].length;
    else tokens.push(unknown, start, end);
  }

  /** Fills, for each position, the best last piece that ends there. */
  #search(word: string): void {
    const n = word.length;
    const single = this.#options.single === true;
    if (this.#best.length <= n) {
      this.#best = new Float64Array(2 * n + 16);
      this.#ids = new Int32Array(2 * n + 16);
      this.#starts = new Int32Array(2 * n + 16);
    }
    const best = this.#best;
    const ids = this.#ids;
    const starts = this.#starts;
    starts.fill(-1, 0, n + 1);
    best[0] = 0;
    const trie = this.#trie;
    for (let at = 0; at < n; ) {
      const here = best[at]!;
      const size = charLength(word, at);
      let hasSingle = false;
      let node = 0;
      for (let end = at; end < n; ) {
        node = trie.step(node, word.charCodeAt(end++));
        if (node < 0) break;
        const id = trie.value(node);
        if (id < 0) continue;
        const score = single ? Math.fround(this.#scores[id]! + here) : this.#scores[id]! + here;
        if (starts[end] === -1 || score > best[end]!) {
          best[end] = single ? Math.fround(score) : score;
          starts[end] = at;
          ids[end] = id === this.#options.unknown ? UNKNOWN : id;
        }
        if (end - at === size) hasSingle = true;
      }
      if (!hasSingle) {
        const end = at + size;
        const score = single ? Math.fround(this.#unknownScore + here) : this.#unknownScore + here;
        if (starts[end] === -1 || score > best[end]!) {
          best[end] = score;
          starts[end] = at;
          ids[end] = UNKNOWN;
        }
      }
      at += size;
    }
  }

  toJSON(): Record<string, unknown> {
    return {
      type: "Unigram",
      unk_id: this.#options.unknown ?? null,
      vocab: this.#options.pieces.map(([piece, score]) => [piece, score]),
      byte_fallback: this.#options.byteFallback,
    };
  }
}

const UNKNOWN = -2;
