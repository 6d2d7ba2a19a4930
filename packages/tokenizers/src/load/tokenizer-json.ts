import { type AddedToken, readAddedToken } from "../added-tokens.ts";
import { byteLevelDecoder, type Decoder } from "../decoders/decoder.ts";
import { quote } from "../errors.ts";
import type { Model } from "../models/model.ts";
import type { Padding } from "../padding.ts";
import type { TokenizerParts } from "../parts.ts";
import type { Truncation } from "../truncation.ts";
import type { Json } from "./json.ts";
import { readDecoder } from "./read-decoder.ts";
import { checkLargestId, readModel } from "./read-model.ts";
import { readNormalizer } from "./read-normalizer.ts";
import { readPostProcessor } from "./read-post-processor.ts";
import { readPreTokenizer } from "./read-pre-tokenizer.ts";

const ROLES = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] as const;

/**
 * Reads a tokenizer.json. Everything is checked here: a tokenizer that loads does not fail later because of its file.
 * `configs` are tokenizer_config.json and special_tokens_map.json, where there are any.
 */
export function readTokenizerJson(
  json: Json,
  configs: readonly Json[] = [],
  given?: { model: Model; added: readonly AddedToken[] },
): TokenizerParts {
  const warnings: string[] = [];
  const version = json.get("version").string("1.0");
  if (version !== "1.0")
    throw json.get("version").fail("TK_VERSION", `version ${quote(version)} is not supported, only 1.0 is`);
  const model = given?.model ?? readModel(json.get("model"), warnings);
  const added = given?.added ?? readAdded(json.get("added_tokens"), model, warnings);
  const ids = new Set([...model.vocab.values(), ...added.map((t) => t.id)]);
  const optional = <T>(field: string, read: (json: Json) => T): T | undefined =>
    json.has(field) ? read(json.get(field)) : undefined;
  const pre = optional("pre_tokenizer", readPreTokenizer);
  const suffix = given ? "" : json.get("model").get("end_of_word_suffix").string("");
  const tokenOf = (name: string) => added.find((t) => t.content === name)?.id ?? model.vocab.get(name);
  const padding = optional("padding", readPadding);
  const roles = readRoles(configs, tokenOf);
  if (padding && roles.pad === undefined) roles.pad = padding.id;
  return {
    model,
    added,
    normalizer: optional("normalizer", readNormalizer),
    preTokenizer: pre?.preTokenizer,
    bytes: pre?.bytes,
    postProcessor: optional("post_processor", (p) => readPostProcessor(p, (id) => ids.has(id))),
    decoder: withoutSuffix(optional("decoder", readDecoder), suffix),
    truncation: optional("truncation", readTruncation),
    padding,
    roles,
    json: {
      normalizer: json.get("normalizer").value ?? null,
      pre_tokenizer: json.get("pre_tokenizer").value ?? null,
      post_processor: json.get("post_processor").value ?? null,
      decoder: json.get("decoder").value ?? null,
    },
    warnings,
  };
}

/** What Python's `str.strip` removes: White_Space and the separators U+001C to U+001F. JavaScript's `trim` differs. */
const PYTHON_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const PYTHON_STRIP = new RegExp(`^[${PYTHON_SPACE}]+|[${PYTHON_SPACE}]+$`, "g");

/**
 * CLIP's files name ByteLevel as the decoder, which leaves `</w>` in the text; transformers takes it out in its own code, and so
 * does this.
 */
function withoutSuffix(decoder: Decoder | undefined, suffix: string): Decoder | undefined {
  if (decoder !== byteLevelDecoder || !suffix) return decoder;
  return (tokens) => [decoder(tokens).join("").replaceAll(suffix, " ").replace(PYTHON_STRIP, "")];
}

/** Ids of added tokens must be those that Hugging Face's library would give them: it renumbers others without a word. */
function readAdded(json: Json, model: Model, warnings: string[]): AddedToken[] {
  if (json.missing) return [];
  const added = new Map<string, AddedToken>();
  const taken = new Map<number, string>();
  for (const [token, id] of model.vocab) taken.set(id, token);
  let next = model.vocab.size;
  for (const entry of json.array()) {
    const token = readAddedToken(entry, warnings);
    const existing = added.get(token.content)?.id ?? model.vocab.get(token.content);
    const expected = existing ?? next;
    if (token.id !== expected) {
      const owner = taken.get(token.id);
      throw entry
        .get("id")
        .fail(
          "TK_ADDED_ID",
          `the added token ${quote(token.content)} has the id ${token.id}, but ${
            owner !== undefined && owner !== token.content
              ? `that is ${quote(owner)}`
              : `its place gives it ${expected}`
          }`,
          "ids of added tokens continue the vocabulary without gaps, in the order of the list",
        );
    }
    if (existing === undefined) next++;
    taken.set(token.id, token.content);
    added.set(token.content, token);
  }
  checkLargestId(next, model.vocab.size + added.size, json.path);
  return [...added.values()];
}

function readTruncation(json: Json): Truncation {
  const length = json.get("max_length").count();
  const stride = json.get("stride").count(0);
  if (stride >= length && length > 0) {
    throw json.get("stride").fail("TK_PARAM", `the stride ${stride} must be less than max_length ${length}`);
  }
  const strategy = json.get("strategy").choice(["LongestFirst", "OnlyFirst", "OnlySecond"], "LongestFirst");
  return {
    length,
    stride,
    side: json.get("direction").choice(["Left", "Right"], "Right") === "Left" ? "left" : "right",
    strategy: strategy === "LongestFirst" ? "longest" : strategy === "OnlyFirst" ? "first" : "second",
  };
}

function readPadding(json: Json): Padding {
  const strategy = json.get("strategy");
  const fixed = strategy.value === "BatchLongest" ? undefined : strategy.get("Fixed").count();
  return {
    length: fixed,
    multiple: json.has("pad_to_multiple_of") ? json.get("pad_to_multiple_of").count() || undefined : undefined,
    side: json.get("direction").choice(["Left", "Right"], "Right") === "Left" ? "left" : "right",
    id: json.get("pad_id").count(0),
    typeId: json.get("pad_type_id").count(0),
    token: json.get("pad_token").string("[PAD]"),
  };
}

/** `bos_token` and so on: a string, or an object with `content`. */
export function readRoles(
  configs: readonly Json[],
  tokenOf: (name: string) => number | undefined,
): Record<string, number> {
  const roles: Record<string, number> = {};
  for (const config of configs) {
    for (const role of ROLES) {
      const field = config.get(`${role}_token`);
      if (field.missing) continue;
      const id = tokenOf(typeof field.value === "string" ? field.value : field.get("content").string());
      if (id !== undefined) roles[role] ??= id;
    }
  }
  return roles;
}
