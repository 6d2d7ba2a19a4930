import { VlmError } from "@vlm/core";

/**
 * Bytes that are read by range, wherever they lie: memory, `Blob`, file, HTTP. `size` is exact and never changes; a
 * source whose content changes between two reads rejects with `IntegrityError`.
 */
export interface ByteSource {
  /** For messages: a path or an address without credentials. */
  readonly name: string;
  readonly size: number;
  /** What identifies this content (ETag, inode and time of change), if anything does. */
  readonly identity: string | undefined;
  /** The bytes [begin, end), in a buffer that belongs to the caller. */
  read(begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes the file or connection. */
  close?(): Promise<void>;
}

/** A source over bytes in memory. Reads copy, so that the caller may keep and transfer what it gets. */
export function bytesSource(bytes: Uint8Array, name = "bytes"): ByteSource {
  return {
    name,
    size: bytes.length,
    identity: undefined,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      checkRange(name, begin, end, bytes.length);
      // Not `bytes.slice`: that of a Node `Buffer` shares memory.
      return new Uint8Array(bytes.subarray(begin, end));
    },
  };
}

/** A source over a `Blob` or a `File` that a user chose: nothing is read before it is asked for. */
export function blobSource(blob: Blob, name = "name" in blob ? String(blob.name) : "blob"): ByteSource {
  return {
    name,
    size: blob.size,
    identity: undefined,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      checkRange(name, begin, end, blob.size);
      try {
        return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
      } catch (cause) {
        // A `File` whose file was changed on disk since it was chosen can no longer be read.
        throw new VlmError("IntegrityError", "SOURCE_CHANGED", {
          what: "the file can no longer be read; it was probably changed since it was chosen",
          where: name,
          hint: "choose the file again",
          cause,
        });
      }
    },
  };
}

/** Throws unless [begin, end) lies inside a source of `size` bytes. */
export function checkRange(name: string, begin: number, end: number, size: number): void {
  if (Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end && end <= size) return;
  throw new VlmError("IndexRangeError", "BYTE_RANGE", {
    what: `bytes [${begin}, ${end}) of a source of ${size} bytes`,
    where: name,
    details: { begin, end, size },
  });
}

/** The content in pieces of at most `chunk` bytes. */
export async function* chunksOf(source: ByteSource, signal?: AbortSignal, chunk = 1 << 22): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += chunk) {
    yield await source.read(at, Math.min(at + chunk, source.size), signal);
  }
}

/** A small file in one piece; more than `limit` bytes are refused before anything is read. */
export async function readAll(
  source: ByteSource,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  if (source.size > limit) {
    throw new VlmError("ResourceLimitError", "FILE_TOO_LARGE", {
      what: `the file has ${source.size} bytes, at most ${limit} are read`,
      where: source.name,
      details: { size: source.size, limit },
    });
  }
  return source.read(0, source.size, signal);
}
