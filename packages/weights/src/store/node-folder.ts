import { fileSource } from "../bytes/file-source.ts";
import { tryLock } from "./lock-file.ts";
import type { Content, OutputFolder } from "./output-folder.ts";
import { storageError, systemCode } from "./storage-error.ts";

/** One `write` call moves at most this much: Node refuses more than 2 GiB. */
const MAX_WRITE = 1 << 30;
/** Errors of network file systems that pass. */
const TRANSIENT = ["EIO", "EAGAIN", "EBUSY", "ESTALE", "EINTR"];
const ATTEMPTS = 3;

/** A folder on disk (Node), created when needed. Files are written beside their place, synced and renamed. */
export async function nodeFolder(root: string): Promise<OutputFolder> {
  const fs = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  const full = (path: string): string => join(root, ...path.split("/").filter(Boolean));
  await fs.mkdir(root, { recursive: true }).catch((error) => {
    throw storageError(error, "create the folder", root);
  });

  /** A rename is durable only when the folder that holds the name is synced too. Windows cannot open folders. */
  async function syncFolder(path: string): Promise<void> {
    const handle = await fs.open(path, "r").catch(() => undefined);
    try {
      await handle?.sync();
    } catch (error) {
      if (!["EPERM", "EINVAL", "EISDIR"].includes(systemCode(error))) throw error;
    } finally {
      await handle?.close();
    }
  }

  async function writeOnce(target: string, content: Content): Promise<void> {
    await fs.mkdir(dirname(target), { recursive: true });
    const draft = `${target}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    try {
      const handle = await fs.open(draft, "wx");
      try {
        for await (const chunk of content()) {
          for (let at = 0; at < chunk.length; ) {
            at += (await handle.write(chunk, at, Math.min(chunk.length - at, MAX_WRITE))).bytesWritten;
          }
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.rename(draft, target);
      await syncFolder(dirname(target));
    } catch (error) {
      await fs.rm(draft, { force: true }).catch(() => {});
      throw error;
    }
  }

  return {
    name: root,
    async write(path, content) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await writeOnce(full(path), content);
        } catch (error) {
          if (attempt === ATTEMPTS || !TRANSIENT.includes(systemCode(error)))
            throw storageError(error, "write", full(path));
        }
      }
    },
    async rename(from, to) {
      try {
        await fs.rename(full(from), full(to));
        await syncFolder(dirname(full(to)));
      } catch (error) {
        throw storageError(error, "rename", full(from));
      }
    },
    async list(path) {
      try {
        return (await fs.readdir(full(path))).sort();
      } catch (error) {
        if (systemCode(error) === "ENOENT") return [];
        throw storageError(error, "list", full(path));
      }
    },
    open: (path) => fileSource(full(path)),
    async remove(path) {
      await fs.rm(full(path), { recursive: true, force: true }).catch((error) => {
        throw storageError(error, "remove", full(path));
      });
    },
    async free() {
      const stats = await fs.statfs(root).catch(() => undefined);
      return stats && stats.bavail * stats.bsize;
    },
    lock: () => tryLock(full(".lock")),
  };
}
