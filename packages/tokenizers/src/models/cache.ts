import type { WordTokens } from "./model.ts";

const LONGEST = 64;
const ENTRIES = 20_000;

/** Remembers the tokens of short words; forgets all of them when full, so memory stays bounded. */
export class WordCache {
  #words = new Map<string, WordTokens>();

  get(word: string): WordTokens | undefined {
    return this.#words.get(word);
  }

  set(word: string, tokens: WordTokens): void {
    if (word.length > LONGEST) return;
    if (this.#words.size >= ENTRIES) this.#words.clear();
    this.#words.set(word, tokens);
  }
}
