import type { Model, WordTokens } from "./model.ts";

const LONGEST = 64;
const SLOTS = 1 << 15;
/** A word lies in one of so many neighbouring slots; the first is overwritten when all are taken. */
const PROBES = 8;

/**
 * A model that remembers the tokens of short words. They are found by their characters where they stand in the text, so
 * that a known word costs no substring. Memory is bounded, and so is the time for any text.
 */
export class WordCache {
  readonly #model: Model;
  readonly #tokenize: (word: string) => WordTokens;
  #hashes: Int32Array | undefined;
  #words: string[] = [];
  #tokens: WordTokens[] = [];

  /** `bytes`: words go to the model as UTF-8 bytes. */
  constructor(model: Model, bytes: boolean) {
    this.#model = model;
    this.#tokenize = bytes ? (word) => model.tokenizeBytes!(word) : (word) => model.tokenize(word);
  }

  /** Tokens of the word between two places of a text; spans count from the word's start. */
  tokens(text: string, from: number, to: number): WordTokens {
    const length = to - from;
    if (length > LONGEST) return this.#tokenize(text.slice(from, to));
    this.#hashes ??= this.#allocate();
    const hashes = this.#hashes;
    let hash = length + 1;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 12;
    let free = hash & (SLOTS - 1);
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (hash + probe) & (SLOTS - 1);
      const word = this.#words[slot]!;
      if (word === "") {
        free = slot;
        break;
      }
      if (hashes[slot] === hash && word.length === length && standsAt(word, text, from)) return this.#tokens[slot]!;
    }
    const before = this.#model.dropped;
    const word = text.slice(from, to);
    const tokens = this.#tokenize(word);
    // A word that lost characters must be counted again each time.
    if (this.#model.dropped !== before) return tokens;
    hashes[free] = hash;
    this.#words[free] = word;
    this.#tokens[free] = tokens;
    return tokens;
  }

  #allocate(): Int32Array {
    this.#words = new Array<string>(SLOTS).fill("");
    this.#tokens = new Array<WordTokens>(SLOTS).fill(NONE);
    return new Int32Array(SLOTS);
  }
}

const NONE: WordTokens = [];

function standsAt(word: string, text: string, from: number): boolean {
  for (let i = 0; i < word.length; i++) if (word.charCodeAt(i) !== text.charCodeAt(from + i)) return false;
  return true;
}
