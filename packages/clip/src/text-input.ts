import { isVlmError, VlmError } from "@vlm/core";
import { Tokenizer } from "@vlm/tokenizers";
import { type ConfigReader, type ModelSource, openIfThere } from "@vlm/weights";
import type { PlainConfig } from "./checkpoint.ts";

/** What a model's training did to texts before the tokenizer saw them. */
export type Cleaning = "none" | "lower" | "canonical";

/** SigLIP's texts are lower case without ASCII punctuation, one space between words (big_vision, prompt_engineering.py). */
export function clean(text: string, cleaning: Cleaning): string {
  if (cleaning === "none") return text;
  if (cleaning === "lower") return text.toLowerCase();
  return text
    .replaceAll("_", " ")
    .replace(/[!-/:-@[-`{-~]/g, "")
    .toLowerCase()
    .replace(/\s+/g, " ")
    .trim();
}

/** What OpenCLIP's file says, else by family: SigLIP's first vocabulary has 32,000 pieces, SigLIP 2's has Gemma's. */
export function cleaningOf({ text, logitBias }: PlainConfig, openClip: ConfigReader | undefined): Cleaning {
  const table = { canonicalize: "canonical", lower: "lower", whitespace: "none" } as const;
  const kwargs = openClip?.at("model_cfg").at("text_cfg").at("tokenizer_kwargs", { optional: true });
  if (kwargs?.has("clean")) return kwargs.choice("clean", table);
  if (logitBias === undefined) return "none"; // CLIP's tokenizer lowers the case itself
  return text.vocabSize === 32000 ? "canonical" : "lower";
}

/** The tokenizer among a model's files, or null where there is none. */
export async function readTokenizer(folder: ModelSource, signal?: AbortSignal): Promise<Tokenizer | null> {
  const files = {
    where: folder.name,
    async read(name: string): Promise<Uint8Array | undefined> {
      const file = await openIfThere(folder, name, signal);
      if (!file) return undefined;
      try {
        return await file.read(0, file.size, signal);
      } finally {
        await file.close?.();
      }
    },
  };
  try {
    return await Tokenizer.load(files);
  } catch (error) {
    if (isVlmError(error) && error.code === "TK_NO_FILES") return null;
    throw error;
  }
}

/** What happens to texts that are too long. */
export type TextOptions = {
  /** Cuts texts that are longer than the context, with a warning, where they would be refused. Default false. */
  truncate?: boolean;
  /** Hears that texts were cut. Default `console.warn`. */
  onWarning?: (message: string) => void;
};

/** Rows of ids of the length that the model expects. Throws `TokenizerInputError TEXT_TOO_LONG`. */
export function tokenize(
  texts: readonly string[],
  tokenizer: Tokenizer,
  context: number,
  { truncate = false, onWarning = console.warn }: TextOptions,
): { ids: Int32Array; shape: [number, number] } {
  const lengths = texts.map((text) => tokenizer.encode(text, { truncate: false, pad: false }).length);
  const long = lengths.flatMap((length, i) => (length > context ? [i] : []));
  if (long.length > 0 && !truncate) {
    const [first] = long;
    throw new VlmError("TokenizerInputError", "TEXT_TOO_LONG", {
      what: `encodeText: text ${first} has ${lengths[first!]} tokens, TextConfig.context is ${context}`,
      hint: "shorten it, or pass { truncate: true } to have it cut",
      details: { index: first, tokens: lengths[first!], context, count: long.length },
    });
  }
  if (long.length > 0) {
    const tokens = lengths[long[0]!];
    onWarning(`${long.length} of ${texts.length} texts were cut to ${context} tokens; text ${long[0]} has ${tokens}`);
  }
  return tokenizer.encodeBatch(texts, { length: context, truncate: true });
}
