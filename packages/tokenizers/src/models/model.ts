/** Tokens of one word: triples of id, start and end (UTF-16 units inside the word). */
export type WordTokens = readonly number[];

/** What turns words into ids. */
export type Model = {
  /** Vocabulary of the model alone, without added tokens. */
  readonly vocab: ReadonlyMap<string, number>;
  tokenize(word: string): WordTokens;
  /** Tokens of a word whose UTF-8 bytes are the symbols (ByteLevel); spans are those of the whole characters. */
  tokenizeBytes?(word: string): WordTokens;
  /** How many characters were left out so far because there is neither an unknown token nor bytes for them. */
  dropped: number;
  /** The field `model` of a tokenizer.json. */
  toJSON(): Record<string, unknown>;
};
