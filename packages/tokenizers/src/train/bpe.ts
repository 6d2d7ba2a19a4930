import { TokenizerError } from "../errors.ts";
import { addedJson } from "../load/added-json.ts";
import { Json } from "../load/json.ts";
import { readNormalizer } from "../load/read-normalizer.ts";
import { readPreTokenizer } from "../load/read-pre-tokenizer.ts";
import { readTokenizerJson } from "../load/tokenizer-json.ts";
import { AlignedText } from "../text/aligned-text.ts";
import { BYTE_TO_CHAR, toByteChars, wellFormed } from "../text/utf8.ts";
import { Tokenizer } from "../tokenizer.ts";
import { learnMerges } from "./learn-merges.ts";

/** Options of `trainBpe`. */
export type TrainBpeOptions = {
  /** Tokens in all: special ones, bytes and merges. Fewer come out when the texts run out of pairs. */
  vocabSize: number;
  /**
   * `clip`: lower case, words end in `</w>`, `<|startoftext|>` and `<|endoftext|>` around each text (Radford et al. 2021).
   * `bytes`: GPT-2's pattern, nothing added. Default `clip`.
   */
  style?: "clip" | "bytes" | undefined;
  /** Pairs that occur less often do not merge. Default 2. */
  minFrequency?: number | undefined;
  /** Further special tokens, put last. For style `bytes` the first one is also the padding. */
  specials?: readonly string[] | undefined;
  /** Called now and then with the number of tokens so far. */
  onProgress?: ((tokens: number) => void) | undefined;
};

/**
 * Trains a byte-level BPE tokenizer (Sennrich et al. 2016) on texts. Deterministic: the same texts in any order give the
 * same tokenizer. `toJSON()` of the result loads in Hugging Face's libraries and encodes alike there.
 *
 * @throws TokenizerError TK_PARAM when vocabSize has no room for the bytes.
 */
export function trainBpe(texts: Iterable<string>, options: TrainBpeOptions): Tokenizer {
  const { vocabSize, style = "clip", minFrequency = 2, specials = [] } = options;
  const clip = style === "clip";
  const suffix = clip ? "</w>" : "";
  const alphabet = [...BYTE_TO_CHAR].sort();
  const initial = clip ? [...alphabet, ...alphabet.map((c) => c + suffix)] : alphabet;
  const added = [...(clip ? ["<|startoftext|>", "<|endoftext|>"] : []), ...specials];
  const room = vocabSize - initial.length - added.length;
  if (!Number.isSafeInteger(vocabSize) || room < 0) {
    throw new TokenizerError("ArgumentError", "TK_PARAM", {
      what: `trainBpe: vocabSize ${vocabSize} has no room for ${initial.length} byte tokens and ${added.length} special ones`,
      hint: `use at least ${initial.length + added.length}`,
    });
  }
  const twice = added.find((token, i) => token === "" || added.indexOf(token) !== i);
  if (twice !== undefined) {
    throw new TokenizerError("ArgumentError", "TK_PARAM", {
      what: `trainBpe: the special token ${JSON.stringify(twice)} is ${twice === "" ? "empty" : "given twice"}`,
    });
  }
  const merges = learnMerges(countWords(texts, clip), {
    suffix,
    room,
    minFrequency,
    taken: new Set([...initial, ...added]),
    onProgress: options.onProgress,
  });
  const tokens = [...initial, ...merges.map(([a, b]) => a + b), ...added];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const json = clip ? clipPipeline(vocab) : bytesPipeline();
  return new Tokenizer(
    readTokenizerJson(
      new Json(
        {
          version: "1.0",
          truncation: null,
          padding: null,
          added_tokens: added.map((content) => addedJson({ id: vocab[content]!, content, special: true })),
          ...json,
          model: {
            type: "BPE",
            unk_token: clip ? "<|endoftext|>" : null,
            end_of_word_suffix: suffix || null,
            vocab,
            merges,
          },
        },
        "tokenizer.json",
      ),
      [new Json(roles(clip, specials), "trainBpe")],
    ),
  );
}

function roles(clip: boolean, specials: readonly string[]): Record<string, string> {
  if (clip)
    return {
      bos_token: "<|startoftext|>",
      eos_token: "<|endoftext|>",
      pad_token: "<|endoftext|>",
      unk_token: "<|endoftext|>",
    };
  return specials[0] === undefined ? {} : { pad_token: specials[0], eos_token: specials[0] };
}

const GPT2 = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

const CLIP_NORMALIZER = {
  type: "Sequence",
  normalizers: [{ type: "NFC" }, { type: "Replace", pattern: { Regex: "\\s+" }, content: " " }, { type: "Lowercase" }],
};

const CLIP_PRE_TOKENIZER = {
  type: "Sequence",
  pretokenizers: [
    {
      type: "Split",
      pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
      behavior: "Removed",
      invert: true,
    },
    GPT2,
  ],
};

function clipPipeline(vocab: Record<string, number>): Record<string, unknown> {
  return {
    normalizer: CLIP_NORMALIZER,
    pre_tokenizer: CLIP_PRE_TOKENIZER,
    post_processor: {
      type: "RobertaProcessing",
      sep: ["<|endoftext|>", vocab["<|endoftext|>"]],
      cls: ["<|startoftext|>", vocab["<|startoftext|>"]],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: GPT2,
  };
}

function bytesPipeline(): Record<string, unknown> {
  return { normalizer: null, pre_tokenizer: GPT2, post_processor: GPT2, decoder: GPT2 };
}

/** How often each word occurs, in the byte-level alphabet. */
function countWords(texts: Iterable<string>, clip: boolean): Map<string, number> {
  const normalize = clip ? readNormalizer(new Json(CLIP_NORMALIZER, "trainBpe")) : (piece: AlignedText) => piece;
  const { preTokenizer } = readPreTokenizer(new Json(clip ? CLIP_PRE_TOKENIZER : GPT2, "trainBpe"));
  const raw = new Map<string, number>();
  const count = (piece: AlignedText, from: number, to: number) => {
    const word = piece.text.slice(from, to);
    raw.set(word, (raw.get(word) ?? 0) + 1);
  };
  for (const text of texts) {
    const piece = normalize(new AlignedText(wellFormed(text).text, 0));
    if (piece.text) preTokenizer(piece, count);
  }
  return new Map([...raw].map(([word, count]) => [toByteChars(word), count]));
}
