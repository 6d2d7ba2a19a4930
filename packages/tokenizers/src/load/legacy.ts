import { formatError, quote } from "../errors.ts";
import { BYTE_TO_CHAR } from "../text/utf8.ts";
import { addedJson } from "./added-json.ts";
import type { Json } from "./json.ts";
import { readVocab } from "./read-model.ts";

/** What tokenizer_config.json says, with defaults. */
export type LegacyConfig = {
  className: string;
  bos: string | undefined;
  eos: string | undefined;
  unk: string | undefined;
  pad: string | undefined;
  addBos: boolean | undefined;
  addEos: boolean | undefined;
  addPrefixSpace: boolean;
  lowercase: boolean;
  stripAccents: boolean | undefined;
  chinese: boolean;
  extraIds: number | undefined;
};

export function readConfig(configs: readonly Json[]): LegacyConfig {
  const find = (key: string): Json | undefined => configs.map((c) => c.get(key)).find((v) => !v.missing);
  const flag = (key: string) => find(key)?.boolean();
  const token = (key: string) => {
    const field = find(key);
    if (!field) return undefined;
    return typeof field.value === "string" ? field.value : field.get("content").string();
  };
  return {
    className: (find("tokenizer_class")?.string() ?? "").replace(/(Fast)?$/, ""),
    bos: token("bos_token"),
    eos: token("eos_token"),
    unk: token("unk_token"),
    pad: token("pad_token"),
    addBos: flag("add_bos_token"),
    addEos: flag("add_eos_token"),
    addPrefixSpace: flag("add_prefix_space") ?? false,
    lowercase: flag("do_lower_case") ?? true,
    stripAccents: flag("strip_accents"),
    chinese: flag("tokenize_chinese_chars") ?? true,
    extraIds: find("extra_ids")?.count(),
  };
}

/** A template of one special token before and one after the text. */
export function templateJson(before: [string, number] | undefined, after: [string, number] | undefined): unknown {
  if (!before && !after) return null;
  const special = (token: [string, number] | undefined, type: number) =>
    token ? [{ SpecialToken: { id: token[0], type_id: type } }] : [];
  const text = (id: string, type: number) => [
    ...special(before, type),
    { Sequence: { id, type_id: type } },
    ...special(after, type),
  ];
  const tokens = [before, after].flatMap((token) =>
    token ? [[token[0], { id: token[0], ids: [token[1]], tokens: [token[0]] }]] : [],
  );
  return {
    type: "TemplateProcessing",
    single: text("A", 0),
    pair: [...text("A", 0), ...text("B", 1)],
    special_tokens: Object.fromEntries(tokens),
  };
}

/** CLIP's pipeline around its vocabulary, as in openai/clip-vit-base-patch32. */
export function clipJson(vocab: Record<string, number>, merges: unknown[]): Record<string, unknown> {
  const start = vocab["<|startoftext|>"];
  const end = vocab["<|endoftext|>"];
  const added = [
    { id: start!, content: "<|startoftext|>", special: true },
    { id: end!, content: "<|endoftext|>", special: true },
  ];
  return {
    version: "1.0",
    added_tokens: added.map(addedJson),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
          behavior: "Removed",
          invert: true,
        },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: ["<|endoftext|>", end],
      cls: ["<|startoftext|>", start],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      unk_token: "<|endoftext|>",
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
  };
}

/** vocab.json and merges.txt: CLIP's where the vocabulary has its start token and `</w>`, GPT-2's (OPT's, RoBERTa's) otherwise. */
export function vocabMergesJson(vocabJson: Json, mergesText: string, config: LegacyConfig): Record<string, unknown> {
  const vocab = vocabJson.object() as Record<string, number>;
  const merges = mergeLines(mergesText, "merges.txt");
  if (Object.hasOwn(vocab, "<|startoftext|>") && Object.keys(vocab).some((t) => t.endsWith("</w>")))
    return clipJson(vocab, merges);
  const known = readVocab(vocabJson, []);
  const id = (token: string | undefined) => (token === undefined ? undefined : known.get(token));
  const named = [...new Set([config.bos, config.eos, config.unk, config.pad, "<|endoftext|>"])];
  const added = named
    .flatMap((content) =>
      content !== undefined && id(content) !== undefined ? [{ id: id(content)!, content, special: true }] : [],
    )
    .sort((a, b) => a.id - b.id);
  const bos: [string, number] | undefined =
    config.addBos && id(config.bos) !== undefined ? [config.bos!, id(config.bos)!] : undefined;
  const roberta =
    /^(Roberta|Bart|Longformer)/.test(config.className) && id(config.bos) !== undefined && id(config.eos) !== undefined;
  return {
    version: "1.0",
    added_tokens: added.map(addedJson),
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: config.addPrefixSpace, trim_offsets: true, use_regex: true },
    post_processor: roberta
      ? {
          type: "RobertaProcessing",
          sep: [config.eos, id(config.eos)],
          cls: [config.bos, id(config.bos)],
          trim_offsets: true,
          add_prefix_space: config.addPrefixSpace,
        }
      : bos
        ? { type: "Sequence", processors: [byteLevelPost, templateJson(bos, undefined)] }
        : byteLevelPost,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", continuing_subword_prefix: "", end_of_word_suffix: "", fuse_unk: false, vocab, merges },
  };
}

const byteLevelPost = { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true };

function mergeLines(text: string, file: string): string[][] {
  const merges: string[][] = [];
  for (const [i, line] of lines(text).entries()) {
    if (line.startsWith("#version") || line === "") continue;
    const parts = line.split(" ");
    if (parts.length !== 2)
      throw formatError("TK_MERGE", `${file} line ${i + 1}`, `${parts.length} parts instead of 2: ${quote(line)}`);
    merges.push(parts);
  }
  return merges;
}

function lines(text: string): string[] {
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/** OpenAI's and OpenCLIP's bpe_simple_vocab_16e6.txt: line 0 is a title, then 48,894 merges; the vocabulary follows from them. */
export function openClipJson(text: string): Record<string, unknown> {
  const all = lines(text);
  const merges = mergeLines(all.slice(1, 49152 - 256 - 2 + 1).join("\n"), "bpe_simple_vocab");
  // The order of OpenAI's bytes_to_unicode: printable bytes first.
  const isPrintable = (b: number) => BYTE_TO_CHAR[b]!.charCodeAt(0) === b;
  const bytes = Array.from({ length: 256 }, (_, b) => b);
  const chars = [...bytes.filter(isPrintable), ...bytes.filter((b) => !isPrintable(b))].map((b) => BYTE_TO_CHAR[b]!);
  const tokens = [
    ...chars,
    ...chars.map((c) => `${c}</w>`),
    ...merges.map((m) => m.join("")),
    "<|startoftext|>",
    "<|endoftext|>",
  ];
  return clipJson(Object.fromEntries(tokens.map((token, id) => [token, id])), merges);
}

/** BERT's vocab.txt: one token per line. */
export function bertJson(text: string, config: LegacyConfig): Record<string, unknown> {
  const tokens = lines(text);
  const seen = new Set<string>();
  for (const [i, token] of tokens.entries()) {
    if (seen.has(token))
      throw formatError("TK_DUPLICATE_KEY", `vocab.txt line ${i + 1}`, `the token ${quote(token)} is on two lines`);
    seen.add(token);
  }
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const specials = [config.pad ?? "[PAD]", config.unk ?? "[UNK]", "[CLS]", "[SEP]", "[MASK]"].filter((t) =>
    Object.hasOwn(vocab, t),
  );
  const id = (token: string) => {
    if (!Object.hasOwn(vocab, token))
      throw formatError("TK_TEMPLATE", "vocab.txt", `no token ${token}: this is not a BERT vocabulary`);
    return vocab[token]!;
  };
  return {
    version: "1.0",
    added_tokens: specials.map((content) => addedJson({ id: vocab[content]!, content, special: true })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: config.chinese,
      strip_accents: config.stripAccents ?? null,
      lowercase: config.lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special("[CLS]", 0), { Sequence: { id: "A", type_id: 0 } }, special("[SEP]", 0)],
      pair: [
        special("[CLS]", 0),
        { Sequence: { id: "A", type_id: 0 } },
        special("[SEP]", 0),
        { Sequence: { id: "B", type_id: 1 } },
        special("[SEP]", 1),
      ],
      special_tokens: Object.fromEntries(["[CLS]", "[SEP]"].map((t) => [t, { id: t, ids: [id(t)], tokens: [t] }])),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: config.unk ?? "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

function special(id: string, type: number): unknown {
  return { SpecialToken: { id, type_id: type } };
}
