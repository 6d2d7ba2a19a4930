import { VlmError } from "@vlm/core";
import { type ByteSource, readAll } from "../bytes/byte-source.ts";
import { type ModelSource, openIfThere } from "../source/model-source.ts";
import { decodeUtf8 } from "./decode-utf8.ts";
import { JsonScanner, type JsonValue } from "./json-scanner.ts";

/** Options of `readJson`. */
export type ReadJsonOptions = {
  /** Refuse files above this many bytes; default 10 MB. */
  maxBytes?: number;
  signal?: AbortSignal | undefined;
};

/** Parses JSON strictly: duplicate keys, lone surrogates and bad UTF-8 are `WeightFormatError` `JSON_SYNTAX`. */
export function parseJson(text: string | Uint8Array, where = "JSON"): JsonValue {
  const fail = (what: string, position: number): VlmError =>
    new VlmError("WeightFormatError", "JSON_SYNTAX", {
      what: `not JSON: ${what} at ${position}`,
      where,
      details: { position },
    });
  const decoded = typeof text === "string" ? text : decodeUtf8(text, (offset) => fail("invalid UTF-8", offset));
  // Configuration files written on Windows start with a byte order mark at times; it carries no meaning.
  const scanner = new JsonScanner(decoded.replace(/^\ufeff/, ""), fail);
  const value = scanner.value();
  scanner.end();
  return value;
}

/**
 * Reads a configuration file of a model, such as `config.json`, as an object.
 * Throws `WeightFormatError` for what is not a JSON object and `ResourceLimitError` above the limit.
 */
export async function readJson(source: ModelSource, path: string, options: ReadJsonOptions = {}): Promise<JsonObject> {
  return readObject(await source.open(path, options.signal), options);
}

/** Like `readJson`; undefined where there is no such file. */
export async function readJsonIfThere(
  source: ModelSource,
  path: string,
  options: ReadJsonOptions = {},
): Promise<JsonObject | undefined> {
  const file = await openIfThere(source, path, options.signal);
  return file && readObject(file, options);
}

type JsonObject = { [key: string]: JsonValue };

async function readObject(file: ByteSource, options: ReadJsonOptions): Promise<JsonObject> {
  try {
    const bytes = await readAll(file, options.maxBytes ?? 10_000_000, options.signal);
    const value = parseJson(bytes, file.name);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
    throw new VlmError("WeightFormatError", "JSON_TYPE", { what: "expected a JSON object", where: file.name });
  } finally {
    await file.close?.();
  }
}
