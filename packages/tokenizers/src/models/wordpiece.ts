import { charLength } from "../text/aligned-text.ts";
import { vocabJson } from "./bpe.ts";
import type { Model, WordTokens } from "./model.ts";
import { Trie } from "./trie.ts";

export type WordPieceOptions = {
  vocab: ReadonlyMap<string, number>;
  unknown: string;
  /** Written before pieces inside a word. */
  prefix: string;
  /** Longer words are unknown as a whole. */
  maxCharacters: number;
};

/** WordPiece as in BERT: the longest piece first; a word that cannot be covered is one unknown token. */
export class WordPiece implements Model {
  readonly vocab: ReadonlyMap<string, number>;
  dropped = 0;
  readonly #options: WordPieceOptions;
  readonly #trie: Trie;
  readonly #inside: number;
  readonly #unknown: number;

  constructor(options: WordPieceOptions) {
    this.#options = options;
    this.vocab = options.vocab;
    this.#trie = new Trie(options.vocab.size);
    for (const [token, id] of options.vocab) this.#trie.set(token, id);
    this.#inside = this.#trie.walk(options.prefix);
    this.#unknown = options.vocab.get(options.unknown)!;
  }

  tokenize(word: string): WordTokens {
    const whole = [this.#unknown, 0, word.length];
    if (word.length > this.#options.maxCharacters) {
      let characters = 0;
      for (let i = 0; i < word.length; i += charLength(word, i)) characters++;
      if (characters > this.#options.maxCharacters) return whole;
    }
    const tokens: number[] = [];
    let start = 0;
    while (start < word.length) {
      let node = start === 0 ? 0 : this.#inside;
      let id = -1;
      let end = start;
      for (let i = start; i < word.length && node >= 0; i++) {
        node = this.#trie.step(node, word.charCodeAt(i));
        if (node >= 0 && this.#trie.value(node) >= 0) {
          id = this.#trie.value(node);
          end = i + 1;
        }
      }
      if (id < 0) return whole;
      tokens.push(id, start, end);
      start = end;
    }
    return tokens;
  }

  toJSON(): Record<string, unknown> {
    return {
      type: "WordPiece",
      unk_token: this.#options.unknown,
      continuing_subword_prefix: this.#options.prefix,
      max_input_chars_per_word: this.#options.maxCharacters,
      vocab: vocabJson(this.vocab),
    };
  }
}
