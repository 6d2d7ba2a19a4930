import type { TokenizerParts } from "./parts.ts";

/** The parts as a tokenizer.json, which Hugging Face's libraries load. */
export function tokenizerJson(parts: TokenizerParts): Record<string, unknown> {
  const { truncation, padding, added, json, model } = parts;
  return {
    version: "1.0",
    truncation: truncation
      ? {
          direction: truncation.side === "left" ? "Left" : "Right",
          max_length: truncation.length,
          strategy: { longest: "LongestFirst", first: "OnlyFirst", second: "OnlySecond" }[truncation.strategy],
          stride: truncation.stride,
        }
      : null,
    padding: padding
      ? {
          strategy: padding.length === undefined ? "BatchLongest" : { Fixed: padding.length },
          direction: padding.side === "left" ? "Left" : "Right",
          pad_to_multiple_of: padding.multiple ?? null,
          pad_id: padding.id,
          pad_type_id: padding.typeId,
          pad_token: padding.token,
        }
      : null,
    added_tokens: [...added]
      .sort((a, b) => a.id - b.id)
      .map((t) => ({
        id: t.id,
        content: t.content,
        single_word: t.singleWord,
        lstrip: t.lstrip,
        rstrip: t.rstrip,
        normalized: t.normalized,
        special: t.special,
      })),
    ...json,
    model: model.toJSON(),
  };
}
