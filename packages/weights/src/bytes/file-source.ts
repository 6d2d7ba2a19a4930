import { VlmError } from "@vlm/core";
import { storageError } from "../store/storage-error.ts";
import { type ByteSource, checkRange } from "./byte-source.ts";

/** One `read` call moves at most this much: Node refuses more than 2 GiB. */
const MAX_READ = 1 << 30;

/**
 * A file read by range (Node). The file stays open until `close()`, so that a file renamed over it does no harm; one
 * that is rewritten in place is noticed by its size and time.
 */
export async function fileSource(path: string, name = path): Promise<ByteSource> {
  const { open } = await import("node:fs/promises");
  const handle = await open(path, "r").catch((cause) => {
    throw storageError(cause, "open", name);
  });
  const before = await handle.stat({ bigint: true });
  if (!before.isFile()) {
    await handle.close();
    throw new VlmError("StorageError", "NOT_A_FILE", { what: "not a file", where: name });
  }
  const size = Number(before.size);
  return {
    name,
    size,
    identity: `${before.ino}-${before.size}-${before.mtimeNs}`,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      checkRange(name, begin, end, size);
      const out = new Uint8Array(end - begin);
      let done = 0;
      while (done < out.length) {
        const length = Math.min(out.length - done, MAX_READ);
        const { bytesRead } = await handle.read(out, done, length, begin + done).catch((cause) => {
          throw storageError(cause, "read", name);
        });
        if (bytesRead === 0) break;
        done += bytesRead;
        signal?.throwIfAborted();
      }
      const after = await handle.stat({ bigint: true });
      if (done < out.length || after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
        throw new VlmError("IntegrityError", "SOURCE_CHANGED", {
          what: `the file changed while it was read: ${before.size} bytes before, ${after.size} now`,
          where: name,
          hint: "load again when nothing writes to it",
          details: { before: size, after: Number(after.size) },
        });
      }
      return out;
    },
    close: () => handle.close(),
  };
}
