import { builtin } from "../platform.ts";
import { decodeError } from "./errors.ts";

/**
 * Inflates zlib data to at most `limit` bytes: what comes after is dropped, what is missing is missing.
 * @throws `ImageDecodeError` `IM_CORRUPT` when the data is not zlib's
 */
export async function inflate(parts: readonly Uint8Array[], limit: number, where: string): Promise<Uint8Array> {
  const zlib = builtin("node:zlib");
  if (zlib === undefined) return inflateStream(parts, limit, where);
  const input = parts.length === 1 ? parts[0]! : concat(parts);
  return new Promise((resolve, reject) => {
    const options = {
      // One output chunk of the size that is known, up to 16 MB at a time.
      chunkSize: Math.min(Math.max(limit + 1, 1024), 16 * 2 ** 20),
      finishFlush: zlib.constants.Z_SYNC_FLUSH,
      maxOutputLength: Math.max(limit, 1),
    };
    zlib.inflate(input, options, (error, output) => {
      if (error === null) resolve(output);
      else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        resolve(inflateStream(parts, limit, where));
      } else reject(corrupt(where, error));
    });
  });
}

async function inflateStream(parts: readonly Uint8Array[], limit: number, where: string): Promise<Uint8Array> {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const written = (async () => {
    for (const part of parts) await writer.write(part as Uint8Array<ArrayBuffer>);
    await writer.close();
  })();
  // The reader below reports the failure of either side.
  written.catch(() => undefined);
  const out = new Uint8Array(limit);
  let length = 0;
  const reader = stream.readable.getReader();
  try {
    while (length < limit) {
      const { value, done } = await reader.read();
      if (done) break;
      const chunk = value.subarray(0, limit - length);
      out.set(chunk, length);
      length += chunk.length;
    }
    await reader.cancel().catch(() => undefined);
  } catch (error) {
    // A stream that ends early fails only after all its output was read.
    if (length === 0) throw corrupt(where, error);
  }
  return out.subarray(0, length);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function corrupt(where: string, cause: unknown): Error {
  return decodeError("IM_CORRUPT", {
    what: "the compressed pixels cannot be inflated",
    where,
    hint: "the file is damaged; download or copy it again",
    cause,
  });
}
