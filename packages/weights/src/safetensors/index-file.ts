import { printable, VlmError } from "@vlm/core";
import { decodeUtf8 } from "../json/decode-utf8.ts";
import { JsonScanner } from "../json/json-scanner.ts";
import { checkPath } from "./safe-path.ts";

/** Which shard holds which tensor: the content of `model.safetensors.index.json`. */
export type ShardIndex = {
  /** tensor name -> shard path, in the order of the file */
  readonly shardOf: ReadonlyMap<string, string>;
  /** All shard paths, each once. */
  readonly shards: readonly string[];
};

/** An index lists names, not weights: half a million tensors take 60 MB. */
export const MAX_INDEX_BYTES = 100_000_000;
export const MAX_SHARDS = 10_000;

/**
 * Parses an index. The map is read straight from the text, without a second tree of objects beside it.
 * Throws `WeightFormatError` (`IX_JSON`, `IX_TYPE`, `IX_DUPLICATE`), `UnsafePathError` or `ResourceLimitError`.
 */
export function parseIndex(bytes: Uint8Array, file: string): ShardIndex {
  const fail = (code: string, what: string, details: Record<string, unknown> = {}): VlmError =>
    new VlmError("WeightFormatError", code, {
      what,
      where: file,
      hint: "download the index again, or rebuild it",
      details,
    });
  const text = decodeUtf8(bytes, (offset) => fail("IX_JSON", `the index is not UTF-8 at byte ${offset}`, { offset }));
  const scanner = new JsonScanner(text, (what, position) =>
    fail("IX_JSON", `the index is not JSON: ${what} at character ${position}`, { position }),
  );
  if (scanner.peek() !== "{") {
    scanner.value(() => {});
    throw fail("IX_TYPE", "the index is not an object");
  }
  const shardOf = new Map<string, string>();
  // Interned, so that half a million entries share a few strings.
  const shards = new Map<string, string>();
  let found = false;
  scanner.object((key) => {
    if (key !== "weight_map") return void scanner.value(() => {});
    if (found) throw fail("IX_DUPLICATE", '"weight_map" occurs twice');
    found = true;
    if (scanner.peek() !== "{") throw fail("IX_TYPE", '"weight_map" is not an object of tensor names and file names');
    scanner.object((name) => {
      if (scanner.peek() !== '"')
        throw fail("IX_TYPE", `the file of "${printable(name)}" is not a string`, { tensor: name });
      if (shardOf.has(name))
        throw fail("IX_DUPLICATE", `"${printable(name)}" occurs twice in "weight_map"`, { tensor: name });
      const path = scanner.string();
      let shard = shards.get(path);
      if (shard === undefined) {
        shard = checkPath(path, file, name);
        shards.set(shard, shard);
        if (shards.size > MAX_SHARDS) throw tooMany(file);
      }
      shardOf.set(name, shard);
    });
  });
  scanner.end();
  if (!found) throw fail("IX_TYPE", '"weight_map" is missing');
  return { shardOf, shards: [...shards.keys()] };
}

function tooMany(file: string): VlmError {
  return new VlmError("ResourceLimitError", "IX_SHARDS", {
    what: `the index names more than ${MAX_SHARDS} files`,
    where: file,
    details: { limit: MAX_SHARDS },
  });
}
