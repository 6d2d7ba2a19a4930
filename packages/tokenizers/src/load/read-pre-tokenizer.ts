import { byteLevel } from "../normalizers/byte-level.ts";
import { byteLevelSplit } from "../pre-tokenizers/byte-level.ts";
import {
  bertPreTokenizer,
  digits,
  fixedLength,
  punctuation,
  whitespace,
  whitespaceSplit,
} from "../pre-tokenizers/character-splits.ts";
import { metaspace } from "../pre-tokenizers/metaspace.ts";
import { inSequence, type PreTokenizer } from "../pre-tokenizers/pre-tokenizer.ts";
import { SPLIT_BEHAVIORS, split } from "../pre-tokenizers/split.ts";
import { literalPattern } from "../regex/pattern.ts";
import type { Json } from "./json.ts";
import { rare } from "./rare.ts";
import { dispatch, readPattern } from "./read-normalizer.ts";

/** `bytes`: the pieces still have to be written in GPT-2's alphabet. */
type Step = { split: PreTokenizer; bytes: boolean };

const plain = (pretokenizer: PreTokenizer): Step => ({ split: pretokenizer, bytes: false });

const READERS: Record<string, (json: Json) => Step[]> = {
  Sequence: (json) => json.get("pretokenizers").array().flatMap(readSteps),
  ByteLevel: (json) => [
    {
      split: byteLevelSplit(json.get("add_prefix_space").boolean(true), json.get("use_regex").boolean(true)),
      bytes: true,
    },
  ],
  Split: (json) => [
    plain(
      split(
        readPattern(json.get("pattern")),
        json.get("behavior").choice(SPLIT_BEHAVIORS),
        json.get("invert").boolean(false),
      ),
    ),
  ],
  Metaspace: (json) => [
    plain(metaspace(json.get("replacement").character("▁"), prependScheme(json), json.get("split").boolean(true))),
  ],
  BertPreTokenizer: () => [plain(bertPreTokenizer)],
  Whitespace: () => [plain(whitespace)],
  WhitespaceSplit: () => [plain(whitespaceSplit)],
  Punctuation: (json) => [plain(punctuation(json.get("behavior").choice(SPLIT_BEHAVIORS, "Isolated")))],
  Digits: (json) => [plain(digits(json.get("individual_digits").boolean(false)))],
  CharDelimiterSplit: (json) => [plain(split(literalPattern(json.get("delimiter").character()), "Removed", false))],
  UnicodeScripts: (json) => [plain(rare("scripts", json.path).unicodeScripts)],
  FixedLength: (json) => {
    const length = json.get("length").count(5);
    if (length === 0) throw json.get("length").fail("TK_PARAM", "FixedLength: the length must be at least 1, got 0");
    return [plain(fixedLength(length))];
  },
};

function readSteps(json: Json): Step[] {
  return dispatch(json, READERS, "pre-tokenizer")(json);
}

export function readPreTokenizer(json: Json): { preTokenizer: PreTokenizer; bytes: boolean } {
  const steps = readSteps(json);
  const last = steps.length - 1;
  const splits = steps.map((step, i): PreTokenizer => {
    if (!step.bytes || i === last) return step.split;
    return (piece, emit) =>
      step.split(piece, (part, from, to) => {
        const mapped = byteLevel(part.slice(from, to));
        emit(mapped, 0, mapped.text.length);
      });
  });
  return { preTokenizer: inSequence(splits), bytes: steps[last]?.bytes ?? false };
}

export function prependScheme(json: Json): "always" | "first" | "never" {
  const scheme = json.get("prepend_scheme").choice(["always", "first", "never"], "always");
  if (json.get("add_prefix_space").boolean(true)) return scheme;
  if (json.has("prepend_scheme") && scheme !== "never") {
    throw json.get("prepend_scheme").fail("TK_PARAM", `add_prefix_space false contradicts prepend_scheme ${scheme}`);
  }
  return "never";
}
