import type { AddedToken } from "./added-tokens.ts";
import type { Decoder } from "./decoders/decoder.ts";
import type { Model } from "./models/model.ts";
import type { Normalizer } from "./normalizers/normalizer.ts";
import type { Padding } from "./padding.ts";
import type { PostProcessor } from "./post-processors/post-processor.ts";
import type { PreTokenizer } from "./pre-tokenizers/pre-tokenizer.ts";
import type { Truncation } from "./truncation.ts";

/** What a tokenizer is made of; every loader produces these. */
export type TokenizerParts = {
  model: Model;
  normalizer?: Normalizer | undefined;
  preTokenizer?: PreTokenizer | undefined;
  /** The pieces go to the model as UTF-8 bytes (ByteLevel comes last). */
  bytes?: boolean | undefined;
  postProcessor?: PostProcessor | undefined;
  decoder?: Decoder | undefined;
  added: readonly AddedToken[];
  truncation?: Truncation | undefined;
  padding?: Padding | undefined;
  /** Roles of special tokens (`pad`, `eos`, `bos`, `unk`, `cls`, `sep`, `mask`) by id. */
  roles?: Readonly<Record<string, number>> | undefined;
  /** The fields of tokenizer.json that are not derived from the above. */
  json: { normalizer: unknown; pre_tokenizer: unknown; post_processor: unknown; decoder: unknown };
  /** What was odd in the files and could be read all the same. */
  warnings?: readonly string[] | undefined;
};
