import type { TokenizerParts } from "../parts.ts";
import type { TokenizerFiles, UrlOptions } from "./files.ts";
import { Json } from "./json.ts";
import { loadRareFor } from "./rare.ts";
import type { TiktokenOptions } from "./tiktoken.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";

/**
 * A folder or file path (Node), a URL, a parsed tokenizer.json, files in memory by name, or an object that reads files.
 */
export type TokenizerSource = string | URL | TokenizerFiles | Readonly<Record<string, unknown>>;

/** Options of `Tokenizer.load`. */
export type LoadOptions = UrlOptions & {
  /** For tiktoken files: the pattern and the special tokens, which they do not hold. */
  tiktoken?: TiktokenOptions | undefined;
  /** Fields of tokenizer_config.json that override the file's, such as `{ add_bos_token: true }`. */
  config?: Readonly<Record<string, unknown>> | undefined;
};

/** A parsed tokenizer.json is read at once; code for files is loaded when there are files. */
export async function loadParts(source: TokenizerSource, options: LoadOptions): Promise<TokenizerParts> {
  if (isParsed(source)) return readJsonParts(new Json(source, "tokenizer.json"), overrides(options));
  const { loadFiles } = await import("./load-files.ts");
  return loadFiles(source, options);
}

function isParsed(source: TokenizerSource): boolean {
  if (typeof source !== "object" || source === null || source instanceof URL) return false;
  if (typeof source.read === "function") return false;
  const isFile = (value: unknown) => typeof value === "string" || value instanceof Uint8Array;
  const named = Object.keys(source).some((name) => /\.(json|txt|model|tiktoken|gz)$/.test(name));
  return !(named && Object.values(source).every(isFile));
}

/** Reads a tokenizer.json; what few need is loaded first. */
export async function readJsonParts(json: Json, configs: readonly Json[]): Promise<TokenizerParts> {
  for (const key of ["normalizer", "pre_tokenizer", "decoder"]) await loadRareFor(json.get(key).value);
  return readTokenizerJson(json, configs);
}

/** Fields that the caller gives in place of tokenizer_config.json's. */
export function overrides(options: LoadOptions): Json[] {
  return options.config ? [new Json(options.config, "options.config")] : [];
}
