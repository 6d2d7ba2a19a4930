import { VlmError } from "@vlm/core";
import { builtin } from "../platform.ts";
import type { OpenMojiEntry } from "./openmoji.ts";

/** The cache file: its words as JSON after their length in 4 bytes, then all pixels. */
type Cached = { entries: OpenMojiEntry[]; pixels: Uint8Array };

/** What the cache file holds; undefined when it is absent or not whole, so that it is made anew. */
export async function readCache(file: string, size: number): Promise<Cached | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await builtin("node:fs/promises")!.readFile(file);
  } catch {
    return undefined;
  }
  try {
    const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0);
    const entries = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as OpenMojiEntry[];
    const pixels = bytes.subarray(4 + length);
    return pixels.length === entries.length * size * size * 3 ? { entries, pixels } : undefined;
  } catch {
    return undefined;
  }
}

/** Writes the cache whole or not at all: under another name first, which also lets two processes write at once. */
export async function writeCache(file: string, { entries, pixels }: Cached): Promise<void> {
  const fs = builtin("node:fs/promises")!;
  const json = new TextEncoder().encode(JSON.stringify(entries));
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, json.length);
  const partial = `${file}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`;
  try {
    await fs.mkdir(builtin("node:path")!.dirname(file), { recursive: true });
    await fs.writeFile(partial, Buffer.concat([head, json, pixels]));
    await fs.rename(partial, file);
  } catch (cause) {
    await fs.rm(partial, { force: true });
    throw new VlmError("StorageError", "OPENMOJI_CACHE", {
      what: `the drawings cannot be kept: ${(cause as Error).message}`,
      where: file,
      hint: "pass { cache: a folder that is writable }",
      cause,
    });
  }
}
