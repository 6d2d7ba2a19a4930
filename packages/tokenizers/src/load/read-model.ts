import { quote, TokenizerError } from "../errors.ts";
import { Bpe } from "../models/bpe.ts";
import type { Model } from "../models/model.ts";
import { Unigram } from "../models/unigram.ts";
import { WordLevel } from "../models/wordlevel.ts";
import { WordPiece } from "../models/wordpiece.ts";
import type { Json } from "./json.ts";
import { dispatch } from "./read-normalizer.ts";

const READERS: Record<string, (json: Json, warnings: string[]) => Model> = {
  BPE: readBpe,
  WordPiece: (json, warnings) => {
    const vocab = readVocab(json.get("vocab"), warnings);
    return new WordPiece({
      vocab,
      unknown: inVocab(json.get("unk_token"), vocab, "[UNK]"),
      prefix: json.get("continuing_subword_prefix").string("##"),
      maxCharacters: json.get("max_input_chars_per_word").count(100),
    });
  },
  WordLevel: (json, warnings) => {
    const vocab = readVocab(json.get("vocab"), warnings);
    return new WordLevel(vocab, inVocab(json.get("unk_token"), vocab, "<unk>"));
  },
  Unigram: readUnigram,
};

export function readModel(json: Json, warnings: string[]): Model {
  if (json.missing)
    throw json.fail(
      "TK_FIELD",
      `no model at ${json.path}: this is not a tokenizer.json`,
      "check that the right file was loaded",
    );
  if (json.has("type")) return dispatch(json, READERS, "model")(json, warnings);
  // Files from before 2021 have no type.
  const type = json.has("merges")
    ? "BPE"
    : Array.isArray(json.get("vocab").value)
      ? "Unigram"
      : json.has("max_input_chars_per_word") || json.has("continuing_subword_prefix")
        ? "WordPiece"
        : "WordLevel";
  return READERS[type]!(json, warnings);
}

/** Tokens by name; ids are whole numbers, each given once, and not wildly larger than their number. */
export function readVocab(json: Json, warnings: string[]): Map<string, number> {
  const entries = Object.entries(json.object());
  if (entries.length === 0) throw json.fail("TK_EMPTY_VOCAB", "the vocabulary is empty");
  const vocab = new Map<string, number>();
  const owner = new Map<number, string>();
  let largest = 0;
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 0xffffffff) {
      throw json.fail(
        "TK_ID",
        `the token ${quote(token)} has the id ${JSON.stringify(id)}; ids are whole numbers below 2^32`,
      );
    }
    const other = owner.get(id);
    if (other !== undefined) {
      throw json.fail("TK_DUPLICATE_ID", `the tokens ${quote(other)} and ${quote(token)} both have the id ${id}`);
    }
    owner.set(id, token);
    vocab.set(token, id);
    if (id > largest) largest = id;
  }
  checkLargestId(largest, entries.length, json.path);
  if (largest + 1 > entries.length)
    warnings.push(`${json.path}: ${largest + 1 - entries.length} ids below ${largest} are not used`);
  return vocab;
}

/** A table of `largest` rows for a handful of tokens is an attack or a mistake. */
export function checkLargestId(largest: number, tokens: number, where: string): void {
  const limit = 4 * tokens + 65_536;
  if (largest <= limit) return;
  throw new TokenizerError("ResourceLimitError", "TK_ID_LIMIT", {
    what: `the largest id is ${largest} in a vocabulary of ${tokens} tokens; the limit is ${limit}`,
    where,
    hint: "number the tokens without such gaps",
    details: { largest, tokens, limit },
  });
}

function inVocab(json: Json, vocab: ReadonlyMap<string, number>, otherwise: string): string {
  const token = json.string(otherwise);
  if (!vocab.has(token))
    throw json.fail("TK_UNK", `the unknown token ${quote(token)} is not in the vocabulary`, "add it, or name another");
  return token;
}

function readBpe(json: Json, warnings: string[]): Model {
  const vocab = readVocab(json.get("vocab"), warnings);
  const unknown = json.get("unk_token").string("");
  const prefix = json.get("continuing_subword_prefix").string("");
  const dropout = json.get("dropout").value;
  if (dropout !== undefined && dropout !== null && (typeof dropout !== "number" || !(dropout >= 0 && dropout <= 1))) {
    throw json.get("dropout").fail("TK_PARAM", "dropout must be between 0 and 1");
  }
  if (dropout) warnings.push(`${json.path}.dropout: ${dropout} is for training and is not applied`);
  return new Bpe({
    vocab,
    merges: readMerges(json.get("merges"), vocab, prefix),
    unknown: unknown === "" ? undefined : inVocab(json.get("unk_token"), vocab, ""),
    prefix: prefix || undefined,
    suffix: json.get("end_of_word_suffix").string("") || undefined,
    fuseUnknown: json.get("fuse_unk").boolean(false),
    byteFallback: json.get("byte_fallback").boolean(false),
    ignoreMerges: json.get("ignore_merges").boolean(false),
    dropout: (dropout as number | null | undefined) ?? null,
  });
}

function readMerges(json: Json, vocab: ReadonlyMap<string, number>, prefix: string): Int32Array {
  const list = json.list();
  const legacy = typeof list[0] === "string";
  const merges = new Int32Array(list.length * 3);
  let count = 0;
  for (let i = 0; i < list.length; i++) {
    const entry = list[i];
    if (legacy && typeof entry === "string" && entry.startsWith("#version")) continue;
    const parts = legacy && typeof entry === "string" ? entry.split(" ") : entry;
    if (!Array.isArray(parts) || (!legacy && typeof entry === "string") || !parts.every((p) => typeof p === "string")) {
      throw json.fail(
        "TK_MERGE",
        `merge ${i} is not of the same kind as the first one: either all are "a b" or all are ["a", "b"]`,
      );
    }
    const [a, b] = checkMerge(parts as string[], i, json.path, vocab, prefix);
    merges.set([vocab.get(a)!, vocab.get(b)!, vocab.get(a + b.slice(prefix.length))!], count);
    count += 3;
  }
  return merges.subarray(0, count);
}

/** A merge has two parts, both are tokens, and so is what they make together. */
export function checkMerge(
  parts: readonly string[],
  index: number,
  where: string,
  vocab: ReadonlyMap<string, number>,
  prefix: string,
): [string, string] {
  const fail = (what: string, token?: string) =>
    new TokenizerError("TokenizerFormatError", "TK_MERGE", {
      what: `merge ${index} ${what}`,
      where: `${where}[${index}]`,
      hint: "vocabulary and merges do not belong together, or the file is damaged",
      details: { index, token },
    });
  const [a, b] = parts;
  if (parts.length !== 2 || a === undefined || b === undefined) throw fail(`has ${parts.length} parts instead of 2`);
  if (!vocab.has(a)) throw fail(`refers to ${quote(a)}, which is not in the vocabulary`, a);
  if (!vocab.has(b)) throw fail(`refers to ${quote(b)}, which is not in the vocabulary`, b);
  if (prefix && b.length < prefix.length)
    throw fail(`has ${quote(b)}, which is shorter than the prefix ${quote(prefix)}`, b);
  const result = a + b.slice(prefix.length);
  if (!vocab.has(result)) throw fail(`makes ${quote(result)}, which is not in the vocabulary`, result);
  return [a, b];
}

function readUnigram(json: Json, warnings: string[]): Model {
  const vocab = json.get("vocab");
  const list = vocab.list();
  if (list.length === 0) throw vocab.fail("TK_UNIGRAM", "the vocabulary is empty");
  const seen = new Set<string>();
  const pieces = list.map((entry, i): [string, number] => {
    const [piece, score] = Array.isArray(entry) ? entry : [];
    if (typeof piece !== "string" || typeof score !== "number" || !Number.isFinite(score)) {
      throw vocab.fail(
        "TK_UNIGRAM",
        `entry ${i} must be a piece and a finite score, got ${quote(JSON.stringify(entry) ?? "nothing")}`,
      );
    }
    if (seen.has(piece))
      warnings.push(`${vocab.path}[${i}]: the piece ${quote(piece)} occurs twice; the later one is used`);
    seen.add(piece);
    return [piece, score];
  });
  const unk = json.get("unk_id");
  const unknown = unk.missing ? undefined : unk.value;
  if (
    unknown !== undefined &&
    (typeof unknown !== "number" || !Number.isInteger(unknown) || unknown < 0 || unknown >= pieces.length)
  ) {
    throw unk.fail(
      "TK_UNIGRAM",
      `unk_id ${JSON.stringify(unknown)} is outside the vocabulary of ${pieces.length} pieces`,
    );
  }
  return new Unigram({
    pieces,
    unknown: unknown as number | undefined,
    byteFallback: json.get("byte_fallback").boolean(false),
  });
}
