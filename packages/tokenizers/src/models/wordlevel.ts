import { vocabJson } from "./bpe.ts";
import type { Model, WordTokens } from "./model.ts";

/** Whole words only. */
export class WordLevel implements Model {
  readonly vocab: ReadonlyMap<string, number>;
  dropped = 0;
  readonly #unknown: string;

  constructor(vocab: ReadonlyMap<string, number>, unknown: string) {
    this.vocab = vocab;
    this.#unknown = unknown;
  }

  tokenize(word: string): WordTokens {
    const id = this.vocab.get(word) ?? this.vocab.get(this.#unknown);
    if (id !== undefined) return [id, 0, word.length];
    this.dropped += [...word].length;
    return [];
  }

  toJSON(): Record<string, unknown> {
    return { type: "WordLevel", vocab: vocabJson(this.vocab), unk_token: this.#unknown };
  }
}
