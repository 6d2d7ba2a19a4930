import { expect, test } from "vitest";
import { family } from "./fixtures.ts";

/** Texts of about `n` units without a place where a tokenizer could stop and begin anew. */
const shapes: Record<string, (n: number) => string> = {
  "a word": (n) => "abcdefghij".repeat(n / 10),
  "a word of capitals and digits": (n) => "AB12".repeat(n / 4),
  "one letter": (n) => "a".repeat(n),
  spaces: (n) => " ".repeat(n),
  "special tokens": (n) => "</s>[MASK]".repeat(n / 10),
  Hangul: (n) => "한국".repeat(n / 2),
  jamo: (n) => "\u1112\u1161\u11ab".repeat(n / 3),
  "marks in the wrong order": (n) => `a${"\u0301\u0323".repeat(n / 2)}`,
  "one family of emoji": (n) => "👩\u200d".repeat(n / 3),
};

const millisecondsOf = (call: () => void): number => {
  const start = performance.now();
  call();
  return performance.now() - start;
};

test.each(["gpt2", "bert", "clip", "llama", "llama3", "t5", "sp-bpe", "sp-unigram"])(
  "%s takes eight times as long a text in about eight times the time",
  async (name) => {
    const tokenizer = await family(name);
    const slow: string[] = [];
    for (const [shape, make] of Object.entries(shapes)) {
      const [short, long] = [make(9000), make(72_000)];
      const encode = (text: string) => () => tokenizer.encode(text, { allowSpecial: true });
      encode(short)();
      const one = Math.min(...Array.from({ length: 3 }, () => millisecondsOf(encode(short))));
      const eight = Math.min(...Array.from({ length: 2 }, () => millisecondsOf(encode(long))));
      // Quadratic work would be 64 times as much, and seconds; short times are mostly other things.
      if (eight > 32 * Math.max(one, 10)) slow.push(`${shape}: ${one.toFixed(1)} ms, then ${eight.toFixed(1)} ms`);
    }
    expect(slow).toEqual([]);
  },
);

test("a word of a megabyte, in every model", async () => {
  const word = "abcdefghij".repeat(100_000);
  for (const name of ["gpt2", "bert", "llama", "t5", "word-level", "sp-unigram"]) {
    const tokenizer = await family(name);
    const { ids, offsets } = tokenizer.encode(word, { addSpecial: false });
    expect(ids.length).toBeGreaterThan(0);
    expect(offsets.at(-1)).toBe(word.length);
  }
});
