import { expect, test } from "vitest";
import { BLOCK, digest, family, hashes, SEED } from "./fixtures.ts";
import { strings } from "./strings.ts";

const texts = strings(SEED, 20_000);

/**
 * Ids, offsets (in code points) and decoded text of every block of 200 strings equal those of PyPI tokenizers, and for `sp-` those
 * of sentencepiece. `+text`: special tokens inside the text are text. A failing block is written out in full by
 * tools/reference/tokenizers_fixtures.py --dump.
 */
test.each(Object.keys(hashes))("%s encodes and decodes as the reference does", async (name) => {
  const { count, blocks } = hashes[name]!;
  const tokenizer = await family(name.replace("+text", ""));
  // SentencePiece itself never reads control symbols from text.
  const allowSpecial = !name.endsWith("+text") && !name.startsWith("sp-");
  const failures: string[] = [];
  for (let from = 0; from < count; from += BLOCK) {
    const ids: string[] = [];
    const offsets: string[] = [];
    const decoded: string[] = [];
    for (const text of texts.slice(from, Math.min(from + BLOCK, count))) {
      const encoding = tokenizer.encode(text, { allowSpecial });
      const points = encoding.codePointOffsets;
      ids.push(encoding.ids.join(","));
      offsets.push(Array.from(encoding.ids, (_, i) => `${points[2 * i]}:${points[2 * i + 1]}`).join(","));
      decoded.push(tokenizer.decode(encoding.ids));
    }
    const [wantIds, wantOffsets, wantDecoded] = blocks[from / BLOCK]!;
    if (digest(ids) !== wantIds) failures.push(`ids of strings from ${from}`);
    if (digest(offsets) !== wantOffsets) failures.push(`offsets of strings from ${from}`);
    if (digest(decoded) !== wantDecoded) failures.push(`decodings of strings from ${from}`);
  }
  expect(failures).toEqual([]);
});
