import { type ByteSource, chunksOf } from "./byte-source.ts";
import { Sha256 } from "./sha256.ts";

export type Hasher = { update(bytes: Uint8Array): unknown; hex(): string };

/** An incremental SHA-256: the machine's own where there is one (Node), else ours. */
export async function sha256(): Promise<Hasher> {
  if (typeof process === "undefined" || !process.versions?.node) return new Sha256();
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  return { update: (bytes) => hash.update(bytes), hex: () => hash.digest("hex") };
}

/** SHA-256 of a source's content, in hexadecimal. */
export async function hashOf(source: ByteSource, signal?: AbortSignal): Promise<string> {
  const hash = await sha256();
  for await (const chunk of chunksOf(source, signal)) hash.update(chunk);
  return hash.hex();
}

/** The id that git gives a file: SHA-1 of a header and its content. For small files; the content is held in memory. */
export async function gitBlobId(source: ByteSource, signal?: AbortSignal): Promise<string> {
  const head = new TextEncoder().encode(`blob ${source.size}\0`);
  const all = new Uint8Array(head.length + source.size);
  all.set(head);
  all.set(await source.read(0, source.size, signal), head.length);
  return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-1", all)));
}

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
