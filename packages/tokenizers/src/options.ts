import type { Padding } from "./padding.ts";
import type { Truncation } from "./truncation.ts";

/** Options of `encode`. */
export type EncodeOptions = {
  /** A second text, for templates that join two. */
  pair?: string | undefined;
  /** Adds the special tokens of the template. Default true. */
  addSpecial?: boolean | undefined;
  /**
   * Which special tokens are recognised when they occur in the text: none (the default, so that text from users cannot
   * smuggle in image slots or roles), all (`true`, as Hugging Face does), or those listed.
   */
  allowSpecial?: boolean | readonly string[] | undefined;
  /** Characters that the vocabulary cannot express: counted in `dropped` (the default), or an error. */
  unknown?: "drop" | "error" | undefined;
  /** Lone surrogates: read as U+FFFD and counted in `replaced` (the default), or an error. */
  surrogates?: "replace" | "error" | undefined;
  /** Cuts to a number of tokens; `false` ignores the file's own setting. */
  truncate?: false | number | (Partial<Truncation> & { length: number }) | undefined;
  /** Pads to a number of tokens; `false` ignores the file's own setting. */
  pad?: false | number | Partial<Padding> | undefined;
};

/** Options of `batch`. */
export type BatchOptions = Omit<EncodeOptions, "pair" | "truncate" | "pad"> & {
  /** Tokens per row. Default: as many as the longest text has. */
  length?: number | undefined;
  /** Cuts texts that are longer than `length` (default), or refuses them. */
  truncate?: boolean | undefined;
  /** Id of padding. Default: that of the file. */
  padId?: number | undefined;
  /** Side of padding. Default: that of the file, or right. */
  side?: "right" | "left" | undefined;
};

/** Rows of equal length, ready for a tensor of shape `shape`. */
export type Batch = {
  /** Row-major, padded. */
  ids: Int32Array;
  /** 1 for tokens, 0 for padding. */
  mask: Uint8Array;
  typeIds: Uint8Array;
  /** [texts, length]. */
  shape: [number, number];
};
