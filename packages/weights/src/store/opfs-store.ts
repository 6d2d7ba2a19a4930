import { type ByteSource, blobSource } from "../bytes/byte-source.ts";
import { storageError, systemCode } from "./storage-error.ts";
import type { PartialFile, Store } from "./store.ts";

/** A download is kept in pieces of this size: a piece is on disk when it is full, so this much is lost at most. */
const PIECE = 32 << 20;

/** What stands under a file's name: how many pieces it has, where they lie, and that they are all there. */
type Record = { folder: string; pieces: number; size: number };

/**
 * Files in the origin private file system (browsers). A file is a folder of pieces and a small record written last;
 * reading joins the pieces as a `Blob`, which copies nothing. One tab downloads a file at a time (Web Locks).
 */
export function opfsStore(root: FileSystemDirectoryHandle, name = "browser storage"): Store {
  const absent = (error: unknown): boolean => ["NotFoundError", "TypeMismatchError"].includes(systemCode(error));

  async function folder(path: string, create: boolean): Promise<FileSystemDirectoryHandle> {
    let at = root;
    for (const part of path.split("/").filter(Boolean)) at = await at.getDirectoryHandle(part, { create });
    return at;
  }

  async function file(path: string, create: boolean): Promise<FileSystemFileHandle> {
    const cut = path.lastIndexOf("/");
    return (await folder(path.slice(0, Math.max(cut, 0)), create)).getFileHandle(path.slice(cut + 1), { create });
  }

  async function blob(path: string): Promise<Blob | undefined> {
    try {
      return await (await file(path, false)).getFile();
    } catch (error) {
      if (absent(error)) return undefined;
      throw storageError(error, "read", path);
    }
  }

  async function write(path: string, data: FileSystemWriteChunkType): Promise<void> {
    try {
      const stream = await (await file(path, true)).createWritable();
      await stream.write(data);
      await stream.close();
    } catch (error) {
      throw storageError(error, "write", path);
    }
  }

  async function remove(path: string): Promise<void> {
    const cut = path.lastIndexOf("/");
    const parent = await folder(path.slice(0, Math.max(cut, 0)), true);
    await parent.removeEntry(path.slice(cut + 1), { recursive: true }).catch((error) => {
      if (!absent(error)) throw storageError(error, "remove", path);
    });
  }

  async function joined(directory: string, pieces: number, label: string): Promise<ByteSource | undefined> {
    const blobs = await Promise.all(Array.from({ length: pieces }, (_, i) => blob(`${directory}/${i}`)));
    return blobs.some((part) => part === undefined) ? undefined : blobSource(new Blob(blobs as Blob[]), label);
  }

  async function partial(path: string, signal?: AbortSignal): Promise<PartialFile> {
    const release = await webLock(`${name}/${path}`, signal);
    const directory = `${path}.pieces`;
    let validator: string | undefined;
    let pieces = 0;
    let buffered: BlobPart[] = [];
    let waiting = 0;
    let size = 0;
    try {
      validator = await (await blob(`${directory}/validator`))?.text();
      for (;;) {
        const piece = await blob(`${directory}/${pieces}`);
        if (piece?.size !== PIECE) break;
        size += PIECE;
        pieces++;
      }
    } catch (error) {
      release();
      throw error;
    }
    const flush = async (): Promise<void> => {
      if (waiting === 0) return;
      await write(`${directory}/${pieces}`, new Blob(buffered));
      pieces++;
      buffered = [];
      waiting = 0;
    };
    return {
      get size() {
        return size;
      },
      get validator() {
        return validator;
      },
      async write(chunk) {
        for (let at = 0; at < chunk.length; ) {
          const part = chunk.slice(at, at + PIECE - waiting);
          buffered.push(part as BlobPart);
          waiting += part.length;
          size += part.length;
          at += part.length;
          if (waiting === PIECE) await flush();
        }
      },
      async reset(next) {
        await remove(directory);
        pieces = waiting = size = 0;
        buffered = [];
        validator = next;
        if (next !== undefined) await write(`${directory}/validator`, next);
      },
      async source() {
        const done = await Promise.all(Array.from({ length: pieces }, (_, i) => blob(`${directory}/${i}`)));
        return blobSource(new Blob([...(done as Blob[]), ...buffered]), path);
      },
      async commit() {
        await flush();
        await write(path, JSON.stringify({ folder: directory, pieces, size } satisfies Record));
      },
      async quarantine() {
        await remove(directory);
      },
      async close() {
        release();
      },
    };
  }

  return {
    name,
    async open(path) {
      const text = await (await blob(path))?.text();
      if (text === undefined) return undefined;
      const record = JSON.parse(text) as Record & { text?: string; target?: string };
      if (record.target !== undefined) return this.open(record.target);
      if (record.text !== undefined) return blobSource(new Blob([record.text]), path);
      const source = await joined(record.folder, record.pieces, path);
      // The browser may have evicted pieces: the file is then simply not there.
      return source?.size === record.size ? source : undefined;
    },
    async readText(path) {
      const source = await this.open(path);
      return source && new TextDecoder().decode(await source.read(0, source.size));
    },
    writeText: (path, text) => write(path, JSON.stringify({ text })),
    link: (target, path) => write(path, JSON.stringify({ target })),
    async list(path) {
      const out: string[] = [];
      const walk = async (directory: FileSystemDirectoryHandle, prefix: string): Promise<void> => {
        for await (const [entry, handle] of directory.entries()) {
          if (handle.kind === "file") out.push(prefix + entry);
          else if (!entry.endsWith(".pieces")) await walk(handle as FileSystemDirectoryHandle, `${prefix}${entry}/`);
        }
      };
      try {
        await walk(await folder(path, false), "");
      } catch (error) {
        if (!absent(error)) throw storageError(error, "list", path);
      }
      return out.sort();
    },
    partial,
  };
}

/** Holds a lock that all tabs of the origin share; where there are none (old browsers), tabs do not exclude each other. */
async function webLock(name: string, signal?: AbortSignal): Promise<() => void> {
  if (!globalThis.navigator?.locks) return () => {};
  return new Promise((resolve, reject) => {
    const options: LockOptions = signal ? { signal } : {};
    navigator.locks
      .request(name, options, () => new Promise<void>((release) => resolve(() => release())))
      .catch((error) => reject(signal?.aborted ? signal.reason : error));
  });
}
