import { NORMAL, type SentencePieceModel, UNKNOWN, UNUSED, USER_DEFINED } from "../load/sentencepiece-model.ts";
import { charLength } from "../text/aligned-text.ts";
import { utf8 } from "../text/utf8.ts";
import { vocabJson } from "./bpe.ts";
import { mergeSymbols } from "./merge.ts";
import { MergeTable } from "./merge-table.ts";
import type { Model, WordTokens } from "./model.ts";
import { Trie } from "./trie.ts";

/**
 * SentencePiece's BPE: there is no list of merges; any two neighbours merge whose concatenation is a piece, best score
 * first. User defined pieces are found first and never merge.
 */
export class SentencePieceBpe implements Model {
  readonly vocab: ReadonlyMap<string, number>;
  dropped = 0;
  readonly #spec: SentencePieceModel;
  readonly #merges: MergeTable;
  /** Every string that can be a symbol while merging: pieces, and single characters that only occur inside pieces. */
  readonly #symbols = new Map<string, number>();
  readonly #ids: number[] = [];
  readonly #frozen: Trie;
  readonly #frozenPieces: string[];
  readonly #splits = new Map<number, [number, number]>();
  readonly #unknown: number;

  constructor(spec: SentencePieceModel) {
    this.#spec = spec;
    this.vocab = new Map(spec.pieces.map((p, id) => [p.piece, id]));
    this.#unknown = spec.pieces.findIndex((p) => p.type === UNKNOWN);
    const mergeable = spec.pieces.flatMap((p, id) =>
      p.type === NORMAL || p.type === USER_DEFINED || p.type === UNUSED ? [{ ...p, id }] : [],
    );
    for (const { piece, id } of mergeable) this.#symbol(piece, id);
    for (const { piece } of mergeable) for (const char of piece) this.#symbol(char, -1);
    const scores = [...new Set(mergeable.map((p) => p.score))].sort((a, b) => b - a);
    const rankOf = new Map(scores.map((score, rank) => [score, rank]));
    this.#merges = new MergeTable(mergeable.length * 4);
    for (const { piece, score, type } of mergeable) {
      const result = this.#symbols.get(piece)!;
      for (let cut = charLength(piece, 0); cut < piece.length; cut += charLength(piece, cut)) {
        const left = this.#symbols.get(piece.slice(0, cut));
        const right = this.#symbols.get(piece.slice(cut));
        if (left === undefined || right === undefined) continue;
        this.#merges.set(left, right, rankOf.get(score)!, result);
        if (type === UNUSED) this.#splits.set(result, [left, right]);
      }
    }
    this.#frozenPieces = mergeable.filter((p) => p.type === USER_DEFINED).map((p) => p.piece);
    this.#frozen = new Trie(this.#frozenPieces.length);
    for (const [i, piece] of this.#frozenPieces.entries()) this.#frozen.set(piece, i);
  }

  #symbol(text: string, id: number): void {
    if (this.#symbols.has(text)) return;
    this.#symbols.set(text, this.#ids.length);
    this.#ids.push(id);
  }

  tokenize(word: string): WordTokens {
    const symbols = new Int32Array(word.length);
    const sizes = new Int32Array(word.length);
    const from = new Int32Array(word.length);
    const to = new Int32Array(word.length);
    let count = 0;
    for (let i = 0; i < word.length; ) {
      const frozen = this.#frozenAt(word, i);
      const end = i + (frozen || charLength(word, i));
      const text = word.slice(i, end);
      // Numbers below -1 take part in no merge: -2 - id for user defined pieces, -1 is never stored as a key.
      symbols[count] = frozen ? -2 - this.vocab.get(text)! : (this.#symbols.get(text) ?? NEVER);
      sizes[count] = 1;
      from[count] = i;
      to[count++] = end;
      i = end;
    }
    const kept = mergeSymbols(symbols, sizes, count, this.#merges);
    const tokens: number[] = [];
    let at = 0;
    let afterUnknown = false;
    for (let k = 0; k < kept; k++) {
      const start = from[at]!;
      const end = to[at + sizes[k]! - 1]!;
      at += sizes[k]!;
      const symbol = symbols[k]!;
      const id = symbol === NEVER ? -1 : symbol < -1 ? -2 - symbol : this.#ids[symbol]!;
      if (id >= 0 && this.#spec.pieces[id]!.type !== UNUSED) {
        tokens.push(id, start, end);
        afterUnknown = false;
      } else if (id >= 0) {
        this.#resegment(symbol, word.slice(start, end), start, tokens);
        afterUnknown = false;
      } else {
        this.#unknownToken(word, start, end, afterUnknown, tokens);
        afterUnknown = true;
      }
    }
    return tokens;
  }

  /** Length of the longest user defined piece at `at`, or 0. */
  #frozenAt(word: string, at: number): number {
    if (this.#frozenPieces.length === 0) return 0;
    let node = 0;
    let found = 0;
    for (let i = at; i < word.length; i++) {
      node = this.#frozen.step(node, word.charCodeAt(i));
      if (node < 0) break;
      if (this.#frozen.value(node) >= 0) found = i + 1 - at;
    }
    return found;
  }

  #resegment(symbol: number, text: string, start: number, tokens: number[]): void {
    const id = this.#ids[symbol]!;
    const parts = this.#splits.get(symbol);
    if (!parts || id < 0 || this.#spec.pieces[id]!.type !== UNUSED) {
      tokens.push(id < 0 ? this.#unknown : id, start, start + text.length);
      return;
    }
    const piece = this.#spec.pieces[id]!.piece;
    for (let cut = charLength(piece, 0); cut < piece.length; cut += charLength(piece, cut)) {
      if (this.#symbols.get(piece.slice(0, cut)) !== parts[0]) continue;
      this.#resegment(parts[0], text.slice(0, cut), start, tokens);
      this.#resegment(parts[1], text.slice(cut), start + cut, tokens);
      return;
    }
  }

  #unknownToken(word: string, start: number, end: number, fuse: boolean, tokens: number[]): void {
    if (this.#spec.byteFallback) {
      const bytes = utf8(word.slice(start, end));
      bytes.forEach((b, k) => {
        const name = `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`;
        // The last byte holds the span of the character, the others none.
        tokens.push(this.vocab.get(name)!, start, k === bytes.length - 1 ? end : start);
      });
    } else if (fuse) tokens[tokens.length - 1] = end;
    else tokens.push(this.#unknown, start, end);
  }

  toJSON(): Record<string, unknown> {
    // As transformers converts it: every way to cut a piece in two, best score first.
    const merges: [string, string, number][] = [];
    for (const { piece, score, type } of this.#spec.pieces) {
      if (type !== NORMAL && type !== USER_DEFINED) continue;
      for (let cut = charLength(piece, 0); cut < piece.length; cut += charLength(piece, cut)) {
        const [left, right] = [piece.slice(0, cut), piece.slice(cut)];
        if (this.vocab.has(left) && this.vocab.has(right)) merges.push([left, right, score]);
      }
    }
    merges.sort(
      (a, b) =>
        b[2] - a[2] || this.vocab.get(a[0])! - this.vocab.get(b[0])! || this.vocab.get(a[1])! - this.vocab.get(b[1])!,
    );
    return {
      type: "BPE",
      dropout: null,
      unk_token: this.#spec.pieces[this.#unknown]!.piece,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: this.#spec.byteFallback,
      ignore_merges: false,
      vocab: vocabJson(this.vocab),
      merges: merges.map(([a, b]) => [a, b]),
    };
  }
}

const NEVER = -0x7fffffff;
