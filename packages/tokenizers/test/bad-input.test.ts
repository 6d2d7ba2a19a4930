import { expect, test } from "vitest";
import { Tokenizer, TokenizerError } from "../src/index.ts";
import { fixture, fixtureText } from "./fixtures.ts";

type Shell = Record<string, unknown>;
const added = (id: number, content: string, more: Shell = {}) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...more,
});
const bpe = (more: Shell = {}) => ({ type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]], ...more });
const shell = (more: Shell = {}) => ({ version: "1.0", model: bpe(), ...more });
const load = (json: unknown) => Tokenizer.load(json as Shell);

async function failure(run: () => unknown): Promise<TokenizerError> {
  try {
    await run();
  } catch (error) {
    expect(error).toBeInstanceOf(TokenizerError);
    return error as TokenizerError;
  }
  throw new Error("nothing was thrown");
}

const split = (regex: string) => ({ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false });
const template = (special: Shell) => ({
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: special,
});

/** Rows of the catalogue of bad inputs: what is loaded, the code, the class, and what the message must name. */
const rows: [what: string, json: unknown, code: string, name: string, named: RegExp][] = [
  ["no model", {}, "TK_FIELD", "TokenizerFormatError", /tokenizer\.json\.model/],
  ["a model that is a list", { model: [] }, "TK_FIELD", "TokenizerFormatError", /model/],
  ["another version", shell({ version: "2.0" }), "TK_VERSION", "TokenizerFormatError", /"2\.0"/],
  ["unknown model", shell({ model: { type: "LSTM" } }), "TK_TYPE", "TokenizerFormatError", /model\.type[\s\S]*BPE/],
  [
    "unknown normalizer",
    shell({ normalizer: { type: "Rot13" } }),
    "TK_TYPE",
    "TokenizerFormatError",
    /Rot13[\s\S]*NFC/,
  ],
  [
    "unknown normalizer inside",
    shell({ normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "x" }] } }),
    "TK_TYPE",
    "TokenizerFormatError",
    /normalizers\[1\]\.type/,
  ],
  ["unknown pre-tokenizer", shell({ pre_tokenizer: { type: "x" } }), "TK_TYPE", "TokenizerFormatError", /ByteLevel/],
  [
    "prototype member as type",
    shell({ decoder: { type: "constructor" } }),
    "TK_TYPE",
    "TokenizerFormatError",
    /constructor/,
  ],
  ["unknown decoder", shell({ decoder: { type: "x" } }), "TK_TYPE", "TokenizerFormatError", /decoder\.type/],
  [
    "merge of an unknown token",
    shell({ model: bpe({ merges: [["a", "z"]] }) }),
    "TK_MERGE",
    "TokenizerFormatError",
    /merge 0[\s\S]*"z"/,
  ],
  [
    "merge result not in vocab",
    shell({ model: bpe({ merges: [["ab", "ab"]] }) }),
    "TK_MERGE",
    "TokenizerFormatError",
    /"abab"/,
  ],
  [
    "merge of three parts",
    shell({ model: bpe({ merges: ["a b", "a b c"] }) }),
    "TK_MERGE",
    "TokenizerFormatError",
    /merge 1/,
  ],
  [
    "mixed merges",
    shell({ model: bpe({ merges: [["a", "b"], "a b"] }) }),
    "TK_MERGE",
    "TokenizerFormatError",
    /merge 1/,
  ],
  [
    "duplicate ids",
    shell({ model: bpe({ vocab: { a: 0, b: 0 }, merges: [] }) }),
    "TK_DUPLICATE_ID",
    "TokenizerFormatError",
    /"a"[\s\S]*"b"/,
  ],
  ["negative id", shell({ model: bpe({ vocab: { a: -1 }, merges: [] }) }), "TK_ID", "TokenizerFormatError", /-1/],
  ["fractional id", shell({ model: bpe({ vocab: { a: 0.5 }, merges: [] }) }), "TK_ID", "TokenizerFormatError", /0\.5/],
  [
    "id 2^32",
    shell({ model: bpe({ vocab: { a: 2 ** 32 }, merges: [] }) }),
    "TK_ID",
    "TokenizerFormatError",
    /4294967296/,
  ],
  [
    "id 2^31-1",
    shell({ model: bpe({ vocab: { a: 2 ** 31 - 1 }, merges: [] }) }),
    "TK_ID_LIMIT",
    "ResourceLimitError",
    /2147483647/,
  ],
  [
    "empty vocabulary",
    shell({ model: bpe({ vocab: {}, merges: [] }) }),
    "TK_EMPTY_VOCAB",
    "TokenizerFormatError",
    /model\.vocab/,
  ],
  [
    "unknown token missing (BPE)",
    shell({ model: bpe({ unk_token: "<unk>" }) }),
    "TK_UNK",
    "TokenizerFormatError",
    /"<unk>"/,
  ],
  [
    "unknown token missing (WordPiece)",
    shell({ model: { type: "WordPiece", vocab: { a: 0 } } }),
    "TK_UNK",
    "TokenizerFormatError",
    /\[UNK\]/,
  ],
  [
    "added id beyond",
    shell({ added_tokens: [added(1000, "<x>")] }),
    "TK_ADDED_ID",
    "TokenizerFormatError",
    /1000[\s\S]*3/,
  ],
  ["added id taken", shell({ added_tokens: [added(1, "<x>")] }), "TK_ADDED_ID", "TokenizerFormatError", /"b"/],
  [
    "empty added token",
    shell({ added_tokens: [added(3, "")] }),
    "TK_ADDED_EMPTY",
    "TokenizerFormatError",
    /added_tokens\[0\]/,
  ],
  ["broken regex", shell({ pre_tokenizer: split("(a") }), "TK_REGEX", "TokenizerFormatError", /missing \)/],
  ["broken class", shell({ pre_tokenizer: split("[z-a]") }), "TK_REGEX", "TokenizerFormatError", /out of order/],
  [
    "unsupported regex",
    shell({ pre_tokenizer: split("(a)\\1") }),
    "TK_REGEX_UNSUPPORTED",
    "TokenizerFormatError",
    /back reference/,
  ],
  [
    "class intersection",
    shell({ pre_tokenizer: split("[a-z&&[^b]]") }),
    "TK_REGEX_UNSUPPORTED",
    "TokenizerFormatError",
    /intersection/,
  ],
  ["template without token", shell({ post_processor: template({}) }), "TK_TEMPLATE", "TokenizerFormatError", /\[CLS\]/],
  [
    "template with an id out of vocab",
    shell({ post_processor: template({ "[CLS]": { id: "[CLS]", ids: [77], tokens: ["[CLS]"] } }) }),
    "TK_TEMPLATE",
    "TokenizerFormatError",
    /77/,
  ],
  [
    "stride as long as the length",
    shell({ truncation: { max_length: 4, stride: 4, strategy: "LongestFirst", direction: "Right" } }),
    "TK_PARAM",
    "TokenizerFormatError",
    /stride 4/,
  ],
  [
    "fixed length 0",
    shell({ pre_tokenizer: { type: "FixedLength", length: 0 } }),
    "TK_PARAM",
    "TokenizerFormatError",
    /at least 1/,
  ],
  [
    "bad charsmap",
    shell({ normalizer: { type: "Precompiled", precompiled_charsmap: "AAA=" } }),
    "TK_PARAM",
    "TokenizerFormatError",
    /charsmap/,
  ],
  [
    "charsmap not base64",
    shell({ normalizer: { type: "Precompiled", precompiled_charsmap: "!" } }),
    "TK_PARAM",
    "TokenizerFormatError",
    /base64/,
  ],
  [
    "unigram without pieces",
    shell({ model: { type: "Unigram", vocab: [], unk_id: 0 } }),
    "TK_UNIGRAM",
    "TokenizerFormatError",
    /empty/,
  ],
  [
    "unigram unk_id out of range",
    shell({ model: { type: "Unigram", vocab: [["a", -1]], unk_id: 1 } }),
    "TK_UNIGRAM",
    "TokenizerFormatError",
    /unk_id 1/,
  ],
  [
    "unigram score null",
    shell({ model: { type: "Unigram", vocab: [["a", null]], unk_id: 0 } }),
    "TK_UNIGRAM",
    "TokenizerFormatError",
    /entry 0/,
  ],
  [
    "unigram score NaN",
    shell({ model: { type: "Unigram", vocab: [["a", Number.NaN]], unk_id: 0 } }),
    "TK_UNIGRAM",
    "TokenizerFormatError",
    /entry 0/,
  ],
  [
    "unigram score -Infinity",
    shell({ model: { type: "Unigram", vocab: [["a", -Infinity]], unk_id: 0 } }),
    "TK_UNIGRAM",
    "TokenizerFormatError",
    /entry 0/,
  ],
  ["dropout 2", shell({ model: bpe({ dropout: 2 }) }), "TK_PARAM", "TokenizerFormatError", /dropout/],
];

test.each(rows)("%s", async (_, json, code, name, named) => {
  const error = await failure(() => load(json));
  expect({ code: error.code, name: error.name }).toEqual({ code, name });
  expect(error.message).toMatch(named);
  expect(error.recoverable).toBe(false);
});

/** What `load` is given, the class and the code of its error, and what the message names. */
const sources: [what: string, source: unknown, name: string, code: string, named: RegExp][] = [
  ["half a file", { "tokenizer.json": "{" }, "TokenizerFormatError", "TK_JSON", /tokenizer\.json/],
  ["an error page", { "tokenizer.json": "<html>" }, "TokenizerFormatError", "TK_JSON", /tokenizer\.json/],
  [
    "a key twice, once escaped",
    { "tokenizer.json": '{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "\\u0061": 2}, "merges": []}}' },
    "TokenizerFormatError",
    "TK_DUPLICATE_KEY",
    /"a"/,
  ],
  ["no file that is known", { "readme.txt.json": "{}" }, "TokenizerFormatError", "TK_NO_FILES", /tokenizer\.json/],
  ["no folder", "/no/such/folder", "StorageError", "TK_NOT_FOUND", /no\/such/],
  ["a number", 7, "ArgumentError", "TK_SOURCE", /number/],
  [
    "text that is not UTF-8",
    { "vocab.txt": Uint8Array.of(0x61, 0xff) },
    "TokenizerFormatError",
    "TK_ENCODING",
    /vocab/,
  ],
  [
    "gzip that is none",
    { "bpe_simple_vocab_16e6.txt.gz": Uint8Array.of(0x1f, 0x8b, 1) },
    "TokenizerFormatError",
    "TK_GZIP",
    /bpe/,
  ],
  ["vocab.json without merges.txt", { "vocab.json": '{"a":0}' }, "TokenizerFormatError", "TK_MERGE", /merges\.txt/],
  [
    "a merge line of three parts",
    { "vocab.json": '{"a":0,"b":1,"ab":2}', "merges.txt": "#version: 0.2\na b\na b c\n" },
    "TokenizerFormatError",
    "TK_MERGE",
    /merges\.txt line 3/,
  ],
  [
    "vocab.txt with a token twice",
    { "vocab.txt": "[UNK]\n[CLS]\n[SEP]\na\na\n" },
    "TokenizerFormatError",
    "TK_DUPLICATE_KEY",
    /line 5/,
  ],
  ["a tiktoken line without a rank", { "qwen.tiktoken": "IQ==" }, "TokenizerFormatError", "TK_TIKTOKEN", /line 1/],
  ["a tiktoken rank twice", { "qwen.tiktoken": "IQ== 0\nIg== 0" }, "TokenizerFormatError", "TK_DUPLICATE_ID", /rank 0/],
];

test.each(sources)("source: %s", async (_, source, name, code, named) => {
  const error = await failure(() => load(source));
  expect({ name: error.name, code: error.code }).toEqual({ name, code });
  expect(error.message).toMatch(named);
});

test("a damaged SentencePiece model is refused, wherever it is cut", async () => {
  const whole = fixture("sp-bpe.model");
  for (const length of [1, 2, 10, 1000, whole.length - 5]) {
    const error = await failure(() => Tokenizer.load({ "tokenizer.model": whole.slice(0, length) }));
    expect(error.name).toBe("TokenizerFormatError");
  }
  const noise = Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919) & 255);
  expect((await failure(() => Tokenizer.load({ "tokenizer.model": noise }))).name).toBe("TokenizerFormatError");
});

test("holes in the ids are accepted with a warning, and count for the table size", async () => {
  const tokenizer = await load(shell({ model: bpe({ vocab: { a: 0, b: 5, ab: 9 } }) }));
  expect(tokenizer.vocabSize).toBe(10);
  expect(tokenizer.warnings.join()).toContain("7 ids");
});

test("added tokens with missing fields get the defaults, with a warning", async () => {
  const tokenizer = await load(shell({ added_tokens: [{ id: 3, content: "<x>", special: true }] }));
  expect(tokenizer.warnings.join()).toContain("single_word");
  expect([...tokenizer.encode("a<x>b", { allowSpecial: true }).ids]).toEqual([0, 3, 1]);
});

test("characters without a token are counted, or an error where asked for", async () => {
  const tokenizer = await load(shell());
  const encoding = tokenizer.encode("b😀xa");
  expect([...encoding.ids]).toEqual([1, 0]);
  expect(encoding.dropped).toBe(2);
  expect([...encoding.offsets]).toEqual([0, 1, 4, 5]);
  expect(tokenizer.encode("b😀xa").dropped).toBe(2);
  const unknown = await failure(() => tokenizer.encode("ax", { unknown: "error" }));
  expect({ name: unknown.name, code: unknown.code }).toEqual({ name: "TokenizerInputError", code: "TK_UNKNOWN" });
});

test("lone surrogates become U+FFFD and are counted, or an error where asked for", async () => {
  const tokenizer = await load(JSON.parse(fixtureText("gpt2.json")));
  const encoding = tokenizer.encode("a\ud800b");
  expect(encoding.replaced).toBe(1);
  expect([...encoding.ids]).toEqual([...tokenizer.encode("a\ufffdb").ids]);
  const error = await failure(() => tokenizer.encode("ab\udc00", { surrogates: "error" }));
  expect({ name: error.name, code: error.code }).toEqual({ name: "TokenizerInputError", code: "TK_SURROGATE" });
  expect(error.details.index).toBe(2);
});

test("special tokens in a text are text, unless they are allowed", async () => {
  const tokenizer = await load(JSON.parse(fixtureText("qwen.json")));
  const image = tokenizer.tokenToId("<|image|>")!;
  const end = tokenizer.tokenToId("<|endoftext|>")!;
  const text = "<|image|><|endoftext|>";
  expect([...tokenizer.encode(text).ids]).not.toContain(image);
  expect([...tokenizer.encode(text, { allowSpecial: true }).ids]).toEqual([image, end]);
  const listed = [...tokenizer.encode(text, { allowSpecial: ["<|image|>"] }).ids];
  expect(listed[0]).toBe(image);
  expect(listed).not.toContain(end);
});

test.each([-1, 2 ** 32, 1.5, Number.NaN, 3000])("decode refuses the id %s", async (id) => {
  const tokenizer = await load(JSON.parse(fixtureText("gpt2.json")));
  const error = await failure(() => tokenizer.decode([id]));
  expect({ name: error.name, code: error.code }).toEqual({ name: "IndexRangeError", code: "TK_ID_RANGE" });
  expect(error.message).toContain("3000 tokens");
});

test("a catastrophic pattern ends with an error, not after minutes", async () => {
  for (const regex of ["(a+)+$", "(a|a)*b", "(a*)*c", "(?:a?){8}(?:a?){8}(?:a?){8}(?:a?){8}(?:a?){8}(?:a?){8}a{48}"]) {
    const tokenizer = await load(shell({ pre_tokenizer: split(regex) }));
    const start = performance.now();
    try {
      tokenizer.encode(`${"a".repeat(47)}!`);
    } catch (error) {
      expect((error as TokenizerError).code).toBe("TK_REGEX_BUDGET");
    }
    expect(performance.now() - start).toBeLessThan(20_000);
  }
  const tokenizer = await load(shell({ pre_tokenizer: split("(a+)+$") }));
  expect((await failure(() => tokenizer.encode(`${"a".repeat(40)}!`))).name).toBe("ResourceLimitError");
});

test("a quadratic pattern on a long text is stopped too", async () => {
  const tokenizer = await load(shell({ pre_tokenizer: split("\\s+$") }));
  const error = await failure(() => tokenizer.encode(`${" ".repeat(300_000)}a`));
  expect(error.code).toBe("TK_REGEX_BUDGET");
});

test("100,000 added tokens are found without searching for each", async () => {
  const tokens = Array.from({ length: 100_000 }, (_, i) => added(i + 3, `<t${i}>`));
  const tokenizer = await load(shell({ added_tokens: tokens }));
  const start = performance.now();
  expect(tokenizer.encode("a <t5> <t99999>b".repeat(5000), { allowSpecial: true }).length).toBe(20_000);
  expect(performance.now() - start).toBeLessThan(10_000);
});

test("added tokens that begin like each other: the longest is taken, and the others are not tried one by one", async () => {
  const tokens = Array.from({ length: 3000 }, (_, i) => added(i + 3, `<${"a".repeat(i + 1)}`));
  const tokenizer = await load(shell({ added_tokens: tokens }));
  const text = `<${"a".repeat(3000)}<${"a".repeat(7)}b`.repeat(30);
  const { ids } = tokenizer.encode(text, { allowSpecial: true });
  expect([...ids.slice(0, 3)]).toEqual([3002, 9, 1]);
  expect(ids).toHaveLength(90);
});

test("a vocabulary of 200,000 tokens loads", async () => {
  const vocab = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [i === 0 ? "[UNK]" : `t${i}`, i]));
  const tokenizer = await load(shell({ model: { type: "WordLevel", vocab, unk_token: "[UNK]" } }));
  expect(tokenizer.vocabSize).toBe(200_000);
  expect([...tokenizer.encode("t199999").ids]).toEqual([199_999]);
});

test("a batch that does not fit is refused by index when it may not be cut", async () => {
  const tokenizer = await load(JSON.parse(fixtureText("bert.json")));
  const error = await failure(() => tokenizer.encodeBatch(["a", "a cat and a dog"], { length: 4, truncate: false }));
  expect(error.code).toBe("TK_TOO_LONG");
  expect(error.details.index).toBe(1);
  expect((await failure(() => tokenizer.encodeBatch(["a"], { length: 1 }))).message).toContain(
    "no room for the 2 tokens",
  );
  expect((await failure(() => tokenizer.encodeBatch(["a"], { length: 2.5 }))).code).toBe("TK_PARAM");
  expect((await failure(() => tokenizer.encode(null as unknown as string))).code).toBe("TK_TEXT");
});

test("errors carry the brand that all packages of the project share", async () => {
  const error = await failure(() => load({}));
  expect((error as unknown as Record<symbol, unknown>)[Symbol.for("vlm.error")]).toBe(true);
  expect(error.message.split("\n")).toHaveLength(3);
});
