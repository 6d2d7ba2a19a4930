import type { AddedToken } from "./added-tokens.ts";
import { Encoding, type EncodingColumns, joinColumns } from "./encoding.ts";
import { TokenizerError } from "./errors.ts";
import { type LoadOptions, loadParts, type TokenizerSource } from "./load/load.ts";
import type { Batch, BatchOptions, EncodeOptions } from "./options.ts";
import { type Padding, pad, paddedLength } from "./padding.ts";
import type { TokenizerParts } from "./parts.ts";
import { Pipeline } from "./pipeline.ts";
import { DecodeStream } from "./stream.ts";
import { firstLoneSurrogate, wellFormed } from "./text/utf8.ts";
import { type Cut, type Truncation, truncate } from "./truncation.ts";
import { isSpace } from "./unicode/classes.ts";
import { tokenizerJson } from "./write-json.ts";

/** Longer texts are refused: positions are kept in 26 bits while merging. */
const LONGEST_TEXT = 0x3ffffff;

/**
 * Text to token ids and back, as the reference implementations do it.
 *
 * @example
 * const tokenizer = await Tokenizer.load("runs/clip/model");
 * const { ids, mask, shape } = tokenizer.encodeBatch(["a cat", "two dogs"], { length: 24 });
 */
export class Tokenizer {
  /** What was odd in the files and could be read all the same. */
  readonly warnings: readonly string[];
  /** Largest id + 1: the number of rows an embedding table needs. */
  readonly vocabSize: number;
  /** Ids of special tokens by role: `pad`, `eos`, `bos`, `unk`, `cls`, `sep`, `mask`, where the files name them. */
  readonly roles: Readonly<Record<string, number>>;
  readonly #parts: TokenizerParts;
  readonly #idToToken = new Map<number, string>();
  readonly #addedIds = new Map<string, AddedToken>();
  readonly #addedById = new Map<number, AddedToken>();
  readonly #decodeForms = new Map<number, string>();
  readonly #pipeline: Pipeline;
  readonly #tokenOf = (id: number): string => this.#idToToken.get(id) ?? "";
  readonly #spaces = new Map<number, readonly [number, number]>();

  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    this.warnings = parts.warnings ?? [];
    this.roles = parts.roles ?? {};
    let size = 0;
    for (const [token, id] of parts.model.vocab) {
      this.#idToToken.set(id, token);
      if (id >= size) size = id + 1;
    }
    for (const token of parts.added) {
      this.#addedIds.set(token.content, token);
      this.#addedById.set(token.id, token);
      this.#idToToken.set(token.id, token.content);
      if (token.id >= size) size = token.id + 1;
    }
    this.#pipeline = new Pipeline(parts);
    for (const [form, token] of this.#pipeline.normalForms) {
      if (form !== token.content) this.#decodeForms.set(token.id, form);
    }
    this.vocabSize = size;
  }

  /**
   * Loads a tokenizer from a folder (Node), a URL of a file or of a folder, parsed JSON, or a record of files by name. Understands
   * tokenizer.json, SentencePiece models, vocab.json + merges.txt, vocab.txt, OpenCLIP's vocabulary and tiktoken files.
   *
   * @throws TokenizerError TokenizerFormatError with the path of the field that is wrong, NetworkError, StorageError.
   */
  static async load(source: TokenizerSource, options: LoadOptions = {}): Promise<Tokenizer> {
    return new Tokenizer(await loadParts(source, options));
  }

  /** The id of a token, or undefined. */
  tokenToId(token: string): number | undefined {
    return this.#addedIds.get(token)?.id ?? this.#parts.model.vocab.get(token);
  }

  /** The token of an id, or undefined. */
  idToToken(id: number): string | undefined {
    return this.#idToToken.get(id);
  }

  /** All tokens with their ids, added ones included. */
  vocab(): Map<string, number> {
    const all = new Map(this.#parts.model.vocab);
    for (const token of this.#parts.added) all.set(token.content, token.id);
    return all;
  }

  /** The tokens that are cut out of the text before the model sees it. */
  get addedTokens(): readonly AddedToken[] {
    return this.#parts.added;
  }

  /**
   * Encodes one text, or a pair of texts.
   *
   * @throws TokenizerError TK_SURROGATE, TK_UNKNOWN where asked for; TK_REGEX_BUDGET when a pattern of the file backtracks
   * without bound; TK_TEXT_TOO_LONG above 67 million units.
   */
  encode(text: string, options: EncodeOptions = {}): Encoding {
    const texts = options.pair === undefined ? [text] : [text, options.pair];
    const { model } = this.#parts;
    const droppedBefore = model.dropped;
    let replaced = 0;
    const columns = texts.map((t, i) => {
      const well = this.#checked(t, options);
      replaced += well.replaced;
      return this.#pipeline.encode(well.text, i, options.allowSpecial ?? false);
    });
    const dropped = model.dropped - droppedBefore;
    if (dropped > 0 && options.unknown === "error") {
      throw new TokenizerError("TokenizerInputError", "TK_UNKNOWN", {
        what: `${dropped} characters have no token, and the tokenizer has neither an unknown token nor bytes for them`,
        hint: 'pass { unknown: "drop" } to leave them out',
        details: { dropped },
      });
    }
    const [first, ...rest] = this.#finish(columns, texts, options);
    const tokenOf = this.#tokenOf;
    const overflow = rest.map((c) => new Encoding(c, { texts, tokenOf }));
    return new Encoding(first!, { texts, tokenOf, overflow, dropped, replaced });
  }

  /** Encodes many texts into rows of equal length. */
  encodeBatch(texts: readonly string[], options: BatchOptions = {}): Batch {
    const { length, truncate: cuts = true } = options;
    if (length !== undefined && (!Number.isSafeInteger(length) || length < 1)) {
      throw new TokenizerError("ArgumentError", "TK_PARAM", {
        what: `length must be a whole number of at least 1, got ${length}`,
      });
    }
    const own = this.#parts.truncation;
    const truncation = length !== undefined && cuts ? { ...own, length } : undefined;
    const rows = texts.map((text) =>
      this.encode(text, { ...options, truncate: truncation ?? (length === undefined ? undefined : false), pad: false }),
    );
    const padding = this.#padding({
      ...(options.padId === undefined ? {} : { id: options.padId }),
      ...(options.side === undefined ? {} : { side: options.side }),
      ...(length === undefined ? {} : { length, multiple: undefined }),
    });
    const longest = rows.reduce((n, row) => Math.max(n, row.length), 0);
    const width = Math.max(paddedLength(padding, longest), length === undefined ? longest : 0);
    const at = rows.findIndex((row) => row.length > width);
    if (at >= 0) {
      throw new TokenizerError("TokenizerInputError", "TK_TOO_LONG", {
        what: `text ${at} has ${rows[at]!.length} tokens, more than the length ${width}`,
        hint: "raise the length, or leave truncate at true",
        details: { index: at, tokens: rows[at]!.length, length: width },
      });
    }
    const batch: Batch = {
      ids: new Int32Array(rows.length * width),
      mask: new Uint8Array(rows.length * width),
      typeIds: new Uint8Array(rows.length * width),
      shape: [rows.length, width],
    };
    rows.forEach((row, i) => {
      const padded = pad(row, width, padding);
      batch.ids.set(padded.ids, i * width);
      batch.mask.set(padded.mask, i * width);
      batch.typeIds.set(padded.typeIds, i * width);
    });
    return batch;
  }

  /**
   * Token ids back to text.
   *
   * @throws TokenizerError IndexRangeError for an id outside the vocabulary.
   */
  decode(ids: Iterable<number>, options: { skipSpecial?: boolean } = {}): string {
    const { skipSpecial = true } = options;
    const tokens: string[] = [];
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) {
        throw new TokenizerError("IndexRangeError", "TK_ID_RANGE", {
          what: `decode: id ${id} is outside the vocabulary of ${this.vocabSize} tokens`,
          hint: "check that the ids come from this tokenizer, as whole numbers",
          details: { id, vocabSize: this.vocabSize },
        });
      }
      const token = this.#decodeForms.get(id) ?? this.#idToToken.get(id);
      if (token === undefined) continue;
      if (skipSpecial && this.#addedIds.get(token)?.special) continue;
      tokens.push(token);
    }
    if (tokens.length === 0) return "";
    const { decoder } = this.#parts;
    return decoder ? decoder(tokens).join("") : tokens.join(" ");
  }

  /** Decodes token by token, for text that is shown while it is being generated. */
  stream(options: { skipSpecial?: boolean } = {}): DecodeStream {
    return new DecodeStream((ids) => this.decode(ids, options));
  }

  /** A tokenizer.json, as an object: Hugging Face's libraries load it. */
  toJSON(): Record<string, unknown> {
    return tokenizerJson(this.#parts);
  }

  /** Writes tokenizer.json and tokenizer_config.json into a folder (Node only). */
  async save(folder: string): Promise<void> {
    const config: Record<string, string> = { tokenizer_class: "PreTrainedTokenizerFast" };
    for (const [role, id] of Object.entries(this.roles)) config[`${role}_token`] = this.#idToToken.get(id) ?? "";
    const { saveTokenizer } = await import("./load/disk.ts");
    await saveTokenizer(folder, {
      "tokenizer.json": JSON.stringify(this.toJSON()),
      "tokenizer_config.json": JSON.stringify(config, undefined, 2),
    });
  }

  #checked(text: string, options: EncodeOptions): { text: string; replaced: number } {
    if (typeof text !== "string") {
      throw new TokenizerError("TokenizerInputError", "TK_TEXT", {
        what: `expected a string, got ${text === null ? "null" : typeof text}`,
      });
    }
    if (text.length > LONGEST_TEXT) {
      throw new TokenizerError("ResourceLimitError", "TK_TEXT_TOO_LONG", {
        what: `a text of ${text.length} units is longer than ${LONGEST_TEXT}`,
        hint: "encode it in parts",
        details: { length: text.length, limit: LONGEST_TEXT },
      });
    }
    if (options.surrogates !== "error") return wellFormed(text);
    const at = firstLoneSurrogate(text);
    if (at < 0) return { text, replaced: 0 };
    throw new TokenizerError("TokenizerInputError", "TK_SURROGATE", {
      what: `the text has a lone surrogate at index ${at}: it is not valid Unicode`,
      hint: 'pass { surrogates: "replace" } to read it as U+FFFD',
      details: { index: at },
    });
  }

  /** Truncation, template, padding: the result and its overflow. */
  #finish(columns: EncodingColumns[], texts: readonly string[], options: EncodeOptions): EncodingColumns[] {
    const { postProcessor } = this.#parts;
    const addSpecial = options.addSpecial ?? true;
    const truncation = this.#truncation(options.truncate);
    const pads = options.pad !== false && (options.pad !== undefined || this.#parts.padding !== undefined);
    if (!truncation && !postProcessor && !pads) return [joinColumns(columns)];
    let cuts: Cut[] = columns.map((kept) => ({ kept, overflow: [] }));
    if (truncation) {
      const added = addSpecial ? (postProcessor?.added(columns.length === 2) ?? 0) : 0;
      if (added > truncation.length) {
        throw new TokenizerError("ArgumentError", "TK_PARAM", {
          what: `truncation to ${truncation.length} tokens leaves no room for the ${added} tokens that the template adds`,
          hint: "use a larger length, or { addSpecial: false }",
        });
      }
      cuts = truncate(columns, truncation.length - added, truncation);
    }
    const spaces = {
      texts,
      count: (id: number, start: number, end: number, part: number) =>
        this.#addedById.has(id) ? countSpaces(texts[part]!.slice(start, end)) : this.#spacesOf(id),
    };
    const shared = cuts.some((c) => c.overflow.length > 0);
    const finish = (parts: readonly EncodingColumns[]): EncodingColumns => {
      // A part that goes with several overflow pieces is processed several times, and processors write into it.
      const own = shared
        ? parts.map((p) => ({ ...p, offsets: p.offsets.slice(), typeIds: p.typeIds.slice() }))
        : [...parts];
      const done = joinColumns(postProcessor ? postProcessor.process(own, addSpecial, spaces) : own);
      if (!pads) return done;
      const padding = this.#padding(typeof options.pad === "number" ? { length: options.pad } : options.pad || {});
      return pad(done, paddedLength(padding, done.ids.length), padding);
    };
    const [a, b] = cuts;
    const results = [finish(cuts.map((c) => c.kept))];
    for (const part of a!.overflow) {
      results.push(finish(b ? [part, b.kept] : [part]));
      for (const other of b?.overflow ?? []) results.push(finish([part, other]));
    }
    for (const other of b?.overflow ?? []) results.push(finish([a!.kept, other]));
    return results;
  }

  #truncation(asked: EncodeOptions["truncate"]): Truncation | undefined {
    if (asked === false) return undefined;
    const own = this.#parts.truncation;
    if (asked === undefined) return own;
    const base: Truncation = { length: 512, side: "right", strategy: "longest", stride: 0, ...own };
    const truncation = { ...base, ...(typeof asked === "number" ? { length: asked } : asked) };
    if (!Number.isSafeInteger(truncation.length) || truncation.length < 0) {
      throw new TokenizerError("ArgumentError", "TK_PARAM", {
        what: `truncation length must be a whole number of at least 0, got ${truncation.length}`,
      });
    }
    return truncation;
  }

  #padding(asked: Partial<Padding>): Padding {
    const id = this.roles.pad ?? 0;
    const base: Padding = {
      length: undefined,
      multiple: undefined,
      side: "right",
      id,
      typeId: 0,
      token: this.#idToToken.get(id) ?? "",
    };
    return { ...base, ...this.#parts.padding, ...asked };
  }

  #spacesOf(id: number): readonly [number, number] {
    let counts = this.#spaces.get(id);
    if (!counts) {
      counts = countSpaces(this.#idToToken.get(id) ?? "");
      this.#spaces.set(id, counts);
    }
    return counts;
  }
}

/** Spaces at both ends; "Ġ" is the space of the byte-level alphabet. */
function countSpaces(token: string): readonly [number, number] {
  const space = (i: number) => token.charCodeAt(i) === 0x120 || isSpace(token.charCodeAt(i));
  let leading = 0;
  while (leading < token.length && space(leading)) leading++;
  let trailing = 0;
  while (trailing < token.length && space(token.length - 1 - trailing)) trailing++;
  return [leading, trailing];
}
