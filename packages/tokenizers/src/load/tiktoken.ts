import { formatError } from "../errors.ts";
import { Bpe } from "../models/bpe.ts";
import type { TokenizerParts } from "../parts.ts";
import { GPT2_PATTERN } from "../pre-tokenizers/byte-level.ts";
import { O200K_PATTERN } from "../regex/o200k.ts";
import { BYTE_TO_CHAR } from "../text/utf8.ts";
import { Json } from "./json.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";

/** The pattern of Qwen's tokenizer; cl100k and Llama 3 differ in `\p{N}{1,3}`. */
export const QWEN_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/**
 * OpenAI's encodings by the names of their files: patterns and special tokens of PyPI tiktoken 0.14. Its `\s++$` is written
 * `\s+(?![\s\S])`, because `$` means the end of a line to Oniguruma.
 */
const ENCODINGS: Readonly<Record<string, { pattern: string; specials: Readonly<Record<string, number>> }>> = {
  r50k_base: { pattern: GPT2_PATTERN, specials: { "<|endoftext|>": 50256 } },
  p50k_base: { pattern: GPT2_PATTERN, specials: { "<|endoftext|>": 50256 } },
  cl100k_base: {
    pattern: `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?![\\s\\S])|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    specials: {
      "<|endoftext|>": 100257,
      "<|fim_prefix|>": 100258,
      "<|fim_middle|>": 100259,
      "<|fim_suffix|>": 100260,
      "<|endofprompt|>": 100276,
    },
  },
  o200k_base: {
    pattern: O200K_PATTERN,
    specials: { "<|endoftext|>": 199999, "<|endofprompt|>": 200018 },
  },
};

/** What a tiktoken file does not hold. */
export type TiktokenOptions = {
  /** The splitting pattern. Default: that of the encoding the file is named after (`cl100k_base.tiktoken`), or Qwen's. */
  pattern?: string | undefined;
  /** Special tokens: with their ids, or as a list that continues after the last rank. Default: the encoding's. */
  specials?: readonly string[] | Readonly<Record<string, number>> | undefined;
  normalize?: "NFC" | undefined;
};

/** A tiktoken file: lines of a base64 token and its rank. Pairs merge by the rank of the bytes they make together. */
export function tiktokenParts(text: string, where: string, options: TiktokenOptions): TokenizerParts {
  const name = where.replace(/\.tiktoken$/, "");
  const encoding = Object.hasOwn(ENCODINGS, name) ? ENCODINGS[name] : undefined;
  const vocab = new Map<string, number>();
  const owner = new Map<number, string>();
  for (const [i, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const match = /^([A-Za-z0-9+/]+={0,2}) (\d{1,9})\s*$/.exec(line);
    if (!match)
      throw formatError("TK_TIKTOKEN", `${where} line ${i + 1}`, "expected a base64 token, a space and a rank");
    let token = "";
    try {
      for (const c of atob(match[1]!)) token += BYTE_TO_CHAR[c.charCodeAt(0)];
    } catch {
      throw formatError("TK_TIKTOKEN", `${where} line ${i + 1}`, "not valid base64");
    }
    const rank = Number(match[2]);
    if (vocab.has(token) || owner.has(rank))
      throw formatError("TK_DUPLICATE_ID", `${where} line ${i + 1}`, `the token or the rank ${rank} occurs twice`);
    vocab.set(token, rank);
    owner.set(rank, token);
  }
  if (vocab.size === 0) throw formatError("TK_EMPTY_VOCAB", where, "no tokens");
  const merges: number[] = [];
  const ranks: number[] = [];
  for (const [token, rank] of [...vocab].sort((a, b) => a[1] - b[1])) {
    for (let cut = 1; cut < token.length; cut++) {
      const left = vocab.get(token.slice(0, cut));
      const right = left === undefined ? undefined : vocab.get(token.slice(cut));
      if (left === undefined || right === undefined) continue;
      merges.push(left, right, rank);
      ranks.push(rank);
    }
  }
  const model = new Bpe({ vocab, merges: Int32Array.from(merges), ranks: Int32Array.from(ranks), ignoreMerges: true });
  let next = 0;
  for (const rank of owner.keys()) if (rank >= next) next = rank + 1;
  const specials = options.specials ?? encoding?.specials ?? {};
  const named = Array.isArray(specials)
    ? specials.map((content, i): [string, number] => [content, next + i])
    : Object.entries(specials as Record<string, number>);
  const added = named.map(([content, id]) => ({
    id,
    content,
    singleWord: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  for (const { id, content } of added) {
    if (owner.has(id))
      throw formatError(
        "TK_ADDED_ID",
        `${where} specials`,
        `the id ${id} of ${content} is taken by a rank of the file`,
      );
  }
  const pattern = options.pattern ?? encoding?.pattern ?? QWEN_PATTERN;
  const shell = new Json(
    {
      version: "1.0",
      normalizer: options.normalize ? { type: options.normalize } : null,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    },
    where,
  );
  return readTokenizerJson(shell, [], { model, added });
}
