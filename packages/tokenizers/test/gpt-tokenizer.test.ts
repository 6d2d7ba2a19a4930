import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { Tokenizer } from "../src/index.ts";
import { SEED } from "./fixtures.ts";
import { strings } from "./strings.ts";

const require = createRequire(import.meta.url);

/** The real vocabularies of GPT-2, GPT-4 and GPT-4o, from npm gpt-tokenizer, which is also what they are compared with. */
const encodings = [
  ["r50k_base", 20_000],
  ["cl100k_base", 6000],
  ["o200k_base", 6000],
] as const;

/** JavaScript's `\s`, which gpt-tokenizer splits by, has the first and lacks the second of these. */
const OTHER_SPACE = /[\ufeff\u0085]/;

test.each(encodings)("%s encodes and decodes %i strings as gpt-tokenizer does", async (name, count) => {
  const file = `${name}.tiktoken`;
  const tokenizer = await Tokenizer.load({ [file]: readFileSync(require.resolve(`gpt-tokenizer/data/${file}`)) });
  const peer = (await import(`gpt-tokenizer/encoding/${name}`)) as typeof import("gpt-tokenizer/encoding/r50k_base");
  const unlike: string[] = [];
  for (const text of strings(SEED, count)) {
    if (OTHER_SPACE.test(text)) continue;
    const encoding = tokenizer.encode(text);
    const ids = peer.encode(text, { disallowedSpecial: new Set() });
    const same =
      String(encoding.ids) === String(ids) &&
      tokenizer.decode(encoding.ids) === text &&
      String(encoding.offsets) ===
        String(
          offsetsOf(
            text,
            ids.map((id) => tokenizer.idToToken(id)!.length),
          ),
        );
    if (!same) unlike.push(text);
  }
  expect(unlike).toEqual([]);
});

/** A token's span: from the start of the character that holds its first byte to the end of the one that holds its last. */
function offsetsOf(text: string, sizes: readonly number[]): number[] {
  const starts: number[] = [];
  const ends: number[] = [];
  let unit = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    for (let n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; n > 0; n--) {
      starts.push(unit);
      ends.push(unit + char.length);
    }
    unit += char.length;
  }
  let at = 0;
  return sizes.flatMap((size) => {
    at += size;
    return [starts[at - size]!, ends[at - 1]!];
  });
}
