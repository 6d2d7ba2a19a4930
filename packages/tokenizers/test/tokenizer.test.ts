import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Tokenizer, trainBpe } from "../src/index.ts";
import { BLOCK, digest, family, fixture, fixtureText, SEED } from "./fixtures.ts";
import { strings } from "./strings.ts";
import { TRAINED } from "./trained.ts";

/** Vectors of openai/CLIP and transformers, without start and end. */
test.each([
  ["a photo of a cat", [320, 1125, 539, 320, 2368]],
  ["A Photo  of\ta CAT!!", [320, 1125, 539, 320, 2368, 748]],
  ["it's 2023, isn't it?", [585, 568, 273, 271, 273, 274, 267, 2923, 713, 585, 286]],
  ["café", [15304]],
  ["中文 测试", [19759, 255, 29032, 485, 162, 113, 233, 164, 107, 499]],
  ["hello😀world", [3306, 7334, 1002]],
  ["naïve—test_under", [1097, 35689, 563, 2005, 1628, 318, 1798]],
  ["x".repeat(20), [32035, 32035, 32035, 32035, 22819]],
])("CLIP encodes %s", async (text, ids) => {
  const clip = await family("clip");
  expect([...clip.encode(text, { addSpecial: false }).ids]).toEqual(ids);
  expect([...clip.encode(text).ids]).toEqual([49406, ...ids, 49407]);
});

test("OpenAI reads <|endoftext|> in a text as text, Hugging Face as the token", async () => {
  const clip = await family("clip");
  expect([...clip.encode("<|endoftext|>", { addSpecial: false }).ids].slice(0, 3)).toEqual([27, 347, 40786]);
  expect([...clip.encode("<|endoftext|>", { addSpecial: false, allowSpecial: true }).ids]).toEqual([49407]);
});

test("encodeBatch cuts before the end token and pads", async () => {
  const clip = await family("clip");
  const { ids, mask, shape } = clip.encodeBatch(["a cat", "a photo of a cat and a dog"], { length: 6, padId: 0 });
  expect(shape).toEqual([2, 6]);
  expect([...ids]).toEqual([49406, 320, 2368, 49407, 0, 0, 49406, 320, 1125, 539, 320, 49407]);
  expect([...mask]).toEqual([1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]);
  expect(clip.encodeBatch(["a", "a photo"]).shape).toEqual([2, 4]);
  expect(clip.encodeBatch([]).shape).toEqual([0, 0]);
  expect([...clip.encodeBatch(["a"], { length: 5, padId: 7, side: "left" }).ids]).toEqual([7, 7, 49406, 320, 49407]);
});

test("pairs, types, overflow and offsets", async () => {
  const bert = await family("bert");
  const encoding = bert.encode("a dog", { pair: "a cat" });
  expect(encoding.tokens).toEqual(["[CLS]", "a", "dog", "[SEP]", "a", "cat", "[SEP]"]);
  expect([...encoding.typeIds]).toEqual([0, 0, 0, 0, 1, 1, 1]);
  expect([...encoding.specialMask]).toEqual([1, 0, 0, 1, 0, 0, 1]);
  expect(encoding.span(5)).toBe("cat");
  const cut = bert.encode("one two three four five six", { truncate: { length: 4, stride: 1 } });
  expect(cut.length).toBe(4);
  expect(cut.overflow.length).toBeGreaterThan(1);
  expect(cut.overflow[0]!.ids[1]).toBe(cut.ids[2]);
  expect(bert.encode("a dog", { pad: 16 }).mask.reduce((a, b) => a + b)).toBe(bert.encode("a dog").length);
});

test("offsets count UTF-16 units, codePointOffsets code points", async () => {
  const gpt2 = await family("gpt2");
  const text = "😀 a";
  const encoding = gpt2.encode(text);
  const last = encoding.length - 1;
  expect(encoding.span(last)).toBe("a");
  expect([...encoding.offsets.slice(2 * last)]).toEqual([3, 4]);
  expect([...encoding.codePointOffsets.slice(2 * last)]).toEqual([2, 3]);
});

test("older forms load like the tokenizer.json they correspond to", async () => {
  const text = strings(5, 200);
  const same = (a: Tokenizer, b: Tokenizer) => {
    for (const t of text) expect([...a.encode(t).ids]).toEqual([...b.encode(t).ids]);
  };
  const parse = (name: string) =>
    JSON.parse(fixtureText(name)) as { model: { vocab: Record<string, number>; merges: string[][] } };
  const { model: bertModel } = parse("bert.json");
  const vocabTxt = Object.entries(bertModel.vocab)
    .sort((a, b) => a[1] - b[1])
    .map(([t]) => t)
    .join("\n");
  same(await Tokenizer.load({ "vocab.txt": vocabTxt }), await family("bert"));
  const { model: gpt2Model } = parse("gpt2.json");
  const files = {
    "vocab.json": JSON.stringify(gpt2Model.vocab),
    "merges.txt": `#version: 0.2\n${gpt2Model.merges.map((m) => m.join(" ")).join("\n")}\n`,
  };
  same(await Tokenizer.load(files), await family("gpt2"));
  const { model: optModel } = parse("opt.json");
  const opt = await Tokenizer.load({
    "vocab.json": JSON.stringify(optModel.vocab),
    "merges.txt": optModel.merges.map((m) => m.join(" ")).join("\n"),
    "tokenizer_config.json": '{"add_bos_token": true, "bos_token": "</s>", "pad_token": {"content": "<pad>"}}',
  });
  same(opt, await family("opt"));
  expect(opt.roles.pad).toBe(1);
  const clip = (await family("clip")).toJSON() as { model: { vocab: Record<string, number>; merges: string[][] } };
  const clipFiles = {
    "vocab.json": JSON.stringify(clip.model.vocab),
    "merges.txt": `#version: 0.2\n${clip.model.merges.map((m) => m.join(" ")).join("\n")}`,
  };
  same(await Tokenizer.load(clipFiles), await family("clip"));
});

test("a tiktoken file merges by rank", async () => {
  const { model } = JSON.parse(fixtureText("qwen.json")) as { model: { vocab: Record<string, number> } };
  const bytes = (token: string) =>
    btoa(
      [...token]
        .map((c) =>
          String.fromCharCode(
            c.charCodeAt(0) < 256
              ? c.charCodeAt(0)
              : c.charCodeAt(0) < 289
                ? c.charCodeAt(0) - 256
                : c.charCodeAt(0) < 323
                  ? c.charCodeAt(0) - 289 + 127
                  : 173,
          ),
        )
        .join(""),
    );
  const file = Object.entries(model.vocab)
    .sort((a, b) => a[1] - b[1])
    .map(([token, rank]) => `${bytes(token)} ${rank}`)
    .join("\n");
  const tiktoken = await Tokenizer.load(
    { "qwen.tiktoken": file },
    { tiktoken: { specials: ["<|endoftext|>", "<|image|>"], normalize: "NFC" } },
  );
  const qwen = await family("qwen");
  for (const text of strings(6, 500)) {
    expect([...tiktoken.encode(text, { allowSpecial: true }).ids]).toEqual([
      ...qwen.encode(text, { allowSpecial: true }).ids,
    ]);
  }
});

test("SentencePiece files follow tokenizer_config.json", async () => {
  const files = {
    "spiece.model": fixture("sp-unigram.model"),
    "tokenizer_config.json": '{"tokenizer_class": "T5Tokenizer"}',
  };
  const t5 = await Tokenizer.load(files);
  expect(t5.idToToken(t5.encode("hello").ids.at(-1)!)).toBe("</s>");
  expect(t5.tokenToId("<extra_id_0>")).toBe(t5.vocabSize - 1);
  expect(t5.tokenToId("<extra_id_99>")).toBe(t5.vocabSize - 100);
  const plain = await Tokenizer.load(files, { config: { add_eos_token: false, add_bos_token: true } });
  expect(plain.idToToken(plain.encode("hello").ids[0]!)).toBe("<s>");
});

test.each(["bert", "gpt2", "roberta", "llama", "t5", "word-level"])("%s survives toJSON", async (name) => {
  const first = await family(name);
  const second = await Tokenizer.load(JSON.parse(JSON.stringify(first.toJSON())) as Record<string, unknown>);
  for (const text of strings(8, 200)) {
    const a = first.encode(text, { allowSpecial: true });
    const b = second.encode(text, { allowSpecial: true });
    expect([...b.ids]).toEqual([...a.ids]);
    expect([...b.offsets]).toEqual([...a.offsets]);
    expect(second.decode(b.ids)).toBe(first.decode(a.ids));
  }
});

test("a trained tokenizer is saved, loaded, and the same whatever the order of the texts", async () => {
  const texts = ["a photo of a cat", "a photo of a dog", "two dogs and a cat's toy", "das Foto einer Katze 😀"];
  const trained = trainBpe(texts, { vocabSize: 560 });
  expect(JSON.stringify(trainBpe([...texts].reverse(), { vocabSize: 560 }).toJSON())).toBe(
    JSON.stringify(trained.toJSON()),
  );
  expect(trained.encode("a photo").tokens).toEqual(["<|startoftext|>", "a</w>", "photo</w>", "<|endoftext|>"]);
  expect(trained.decode(trained.encode("A photo of a CAT").ids)).toBe("a photo of a cat");
  const folder = mkdtempSync(join(tmpdir(), "vlm-tokenizer-"));
  try {
    await trained.save(folder);
    const loaded = await Tokenizer.load(folder);
    for (const text of strings(9, 200)) expect([...loaded.encode(text).ids]).toEqual([...trained.encode(text).ids]);
    expect(loaded.roles).toEqual(trained.roles);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const bytes = trainBpe(texts, { vocabSize: 300, style: "bytes", specials: ["<|end|>"] });
  expect(bytes.decode(bytes.encode(" two  dogs\n😀").ids)).toBe(" two  dogs\n😀");
  expect(() => trainBpe(texts, { vocabSize: 100 })).toThrow(/TK_PARAM/);
});

test.each(["gpt2", "llama", "bert", "t5", "clip", "sp-bpe", "sp-unigram"])(
  "%s: streamed text is the text of all tokens",
  async (name) => {
    const tokenizer = await family(name);
    for (const text of strings(10, 300)) {
      const { ids } = tokenizer.encode(text);
      const stream = tokenizer.stream();
      let streamed = "";
      for (const id of ids) streamed += stream.push(id);
      streamed += stream.end();
      expect(streamed).toBe(tokenizer.decode(ids));
    }
  },
);

test("half a character is held back; the end shows what is left of it", async () => {
  const gpt2 = await family("gpt2");
  const ids = ["Ł", "Ń"].map((c) => gpt2.tokenToId(c)).filter((id) => id !== undefined);
  const bytes = [0xf0, 0x9f, 0x98].map((b) => gpt2.tokenToId(b === 0xf0 ? "ð" : String.fromCharCode(b - 127 + 289))!);
  const stream = gpt2.stream();
  for (const id of bytes) expect(stream.push(id)).toBe("");
  expect(stream.end()).toBe("\ufffd");
  expect(ids.length).toBeGreaterThan(0);
});

test("any text whatever: no crash, offsets in order inside the text, byte-level text comes back", async () => {
  const names = ["gpt2", "bert", "clip", "llama", "t5", "qwen", "sp-unigram", "sp-bpe"];
  const all = await Promise.all(names.map(family));
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.string());
  fc.assert(
    fc.property(text, (t) => {
      for (const [i, tokenizer] of all.entries()) {
        const { ids, offsets, length } = tokenizer.encode(t);
        for (let k = 0; k < length; k++) {
          expect(ids[k]).toBeLessThan(tokenizer.vocabSize);
          expect(offsets[2 * k]!).toBeLessThanOrEqual(offsets[2 * k + 1]!);
          expect(offsets[2 * k + 1]!).toBeLessThanOrEqual(t.length);
        }
        if (names[i] === "gpt2") expect(tokenizer.decode(ids)).toBe(t.replace(/[\ud800-\udfff]/gu, "\ufffd"));
      }
    }),
    { numRuns: 300 },
  );
});

test("mutated files: a tokenizer or a TokenizerError, nothing else", async () => {
  const base = JSON.stringify(JSON.parse(fixtureText("zoo.json"))["byte-level-inside"]);
  const values = fc.constantFrom("null", "[]", "{}", '"x"', "-1", "1e99", "true", '{"type":"Sequence"}');
  await fc.assert(
    fc.asyncProperty(fc.nat(), values, async (at, value) => {
      const spots = [...base.matchAll(/:("[^"]*"|\w+|\{\}|\[\])/g)];
      const spot = spots[at % spots.length]!;
      const mutated = base.slice(0, spot.index + 1) + value + base.slice(spot.index + spot[0].length);
      try {
        (await Tokenizer.load({ "tokenizer.json": mutated })).encode("a cat 12");
      } catch (error) {
        expect((error as Error).constructor.name).toBe("TokenizerError");
      }
    }),
    { numRuns: 300 },
  );
});

test("UnicodeScripts splits where the script changes", async () => {
  const zoo = JSON.parse(fixtureText("zoo.json")) as Record<string, Record<string, unknown>>;
  const tokenizer = await Tokenizer.load({ ...zoo.digits!, pre_tokenizer: { type: "UnicodeScripts" } });
  const encoding = tokenizer.encode("cat 日本語テスト Привет мир");
  expect([...encoding.offsets]).toEqual([0, 4, 4, 11, 11, 21]);
});

test.each(Object.keys(TRAINED))(
  "%s: training again gives the file that the reference library was compared on",
  (name) => {
    expect(JSON.parse(JSON.stringify(TRAINED[name]!().toJSON()))).toEqual(JSON.parse(fixtureText(`${name}.json`)));
  },
);

test("open_clip: equal ids wherever its text repair changes nothing", async () => {
  const { ids, skip } = JSON.parse(fixtureText("open-clip.json")) as { ids: string[]; skip: number[] };
  const clip = await family("clip");
  const skipped = new Set(skip);
  const rows = strings(SEED, 20_000).map((text, i) =>
    skipped.has(i) ? "" : clip.encode(text, { addSpecial: false }).ids.join(","),
  );
  expect(skipped.size).toBeLessThan(10_000);
  const got = ids.map((_, block) => digest(rows.slice(block * BLOCK, (block + 1) * BLOCK)));
  expect(got).toEqual(ids);
});

test("files by URL: found, missing, an error page, a server that fails", async () => {
  const answers: Record<string, [number, string, string]> = {
    "/m/tokenizer.json": [200, "application/json", fixtureText("gpt2.json")],
    "/html/tokenizer.json": [200, "text/html; charset=utf-8", "<html>"],
    "/down/tokenizer.json": [503, "text/plain", ""],
    "/gated/tokenizer.json": [403, "text/plain", ""],
  };
  const server = createServer((request, response) => {
    const [status, type, body] = answers[new URL(request.url!, "http://x").pathname] ?? [404, "text/plain", ""];
    response.writeHead(status, { "content-type": type }).end(body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    const base = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    const gpt2 = await family("gpt2");
    for (const url of [`${base}/m`, `${base}/m/`, new URL(`${base}/m/tokenizer.json?token=secret`)]) {
      expect((await Tokenizer.load(url)).vocabSize).toBe(gpt2.vocabSize);
    }
    const code = (path: string) =>
      Tokenizer.load(`${base}${path}?token=secret`).then(
        String,
        (e: { code: string; message: string }) => `${e.code} ${e.message}`,
      );
    expect(await code("/none/")).toMatch(/^TK_NO_FILES/);
    expect(await code("/html/")).toMatch(/^TK_HTML/);
    expect(await code("/down/")).toMatch(/^TK_FETCH.*503/);
    expect(await code("/gated/")).toMatch(/licence/);
    expect(await code("/gated/")).not.toContain("secret");
  } finally {
    server.close();
  }
});
