import { fileSource } from "../bytes/file-source.ts";
import { lock } from "./lock-file.ts";
import { storageError, systemCode } from "./storage-error.ts";
import type { PartialFile, Store } from "./store.ts";

/** Files under a folder (Node), the way `huggingface_hub` keeps them: content once, other names as relative links. */
export async function nodeStore(root: string): Promise<Store> {
  const fs = await import("node:fs/promises");
  const { dirname, join, relative } = await import("node:path");
  const full = (path: string): string => join(root, ...path.split("/"));
  const absent = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(systemCode(error));
  const folderOf = (path: string): Promise<unknown> =>
    fs.mkdir(dirname(path), { recursive: true }).catch((error) => {
      throw storageError(error, "create the folder of", path);
    });

  async function writeText(path: string, text: string): Promise<void> {
    const target = full(path);
    await folderOf(target);
    const draft = `${target}.${crypto.randomUUID()}.tmp`;
    try {
      await fs.writeFile(draft, text, { flush: true });
      await fs.rename(draft, target);
    } catch (error) {
      await fs.rm(draft, { force: true }).catch(() => {});
      throw storageError(error, "write", target);
    }
  }

  async function partial(path: string, signal?: AbortSignal): Promise<PartialFile> {
    const target = full(path);
    const draft = `${target}.vlm.incomplete`;
    const note = `${draft}.json`;
    await folderOf(target);
    const held = await lock(`${target}.lock`, signal);
    const handle = await fs.open(draft, "a+").catch(async (error) => {
      await held.release();
      throw storageError(error, "write", draft);
    });
    let { size } = await handle.stat();
    let validator = await fs.readFile(note, "utf8").catch(() => undefined);
    let open = true;
    const closeFile = async (): Promise<void> => {
      if (open) await handle.close();
      open = false;
    };
    const attempt = async <T>(action: string, run: () => Promise<T>): Promise<T> => {
      try {
        return await run();
      } catch (error) {
        throw storageError(error, action, draft);
      }
    };
    return {
      get size() {
        return size;
      },
      get validator() {
        return validator;
      },
      write: (chunk) =>
        attempt("write", async () => {
          for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done)).bytesWritten;
          size += chunk.length;
        }),
      reset: (next) =>
        attempt("write", async () => {
          await handle.truncate(0);
          size = 0;
          validator = next;
          if (next === undefined) await fs.rm(note, { force: true });
          else await fs.writeFile(note, next);
        }),
      source: () => fileSource(draft),
      commit: () =>
        attempt("keep", async () => {
          await handle.sync();
          await closeFile();
          await fs.rename(draft, target);
          await fs.rm(note, { force: true });
        }),
      quarantine: () =>
        attempt("set aside", async () => {
          await closeFile();
          await fs.rename(draft, `${target}.bad`);
          await fs.rm(note, { force: true });
        }),
      async close() {
        await closeFile();
        await held.release();
      },
    };
  }

  return {
    name: root,
    async open(path) {
      try {
        return await fileSource(full(path));
      } catch (error) {
        if (absent(error)) return undefined;
        throw error;
      }
    },
    async readText(path) {
      try {
        return await fs.readFile(full(path), "utf8");
      } catch (error) {
        if (absent(error)) return undefined;
        throw storageError(error, "read", full(path));
      }
    },
    writeText,
    async link(target, path) {
      const place = full(path);
      await folderOf(place);
      const draft = `${place}.${crypto.randomUUID()}.tmp`;
      try {
        await fs.symlink(relative(dirname(place), full(target)), draft);
        await fs.rename(draft, place);
      } catch (error) {
        await fs.rm(draft, { force: true }).catch(() => {});
        // Windows allows links only to some users: a copy does the same, for more space.
        if (!["EPERM", "ENOSYS", "ENOTSUP"].includes(systemCode(error))) throw storageError(error, "link", place);
        await fs.copyFile(full(target), place).catch((cause) => {
          throw storageError(cause, "copy to", place);
        });
      }
    },
    async list(path) {
      try {
        const entries = await fs.readdir(full(path), { withFileTypes: true, recursive: true });
        return entries
          .filter((entry) => !entry.isDirectory())
          .map((entry) => relative(full(path), join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"))
          .sort();
      } catch (error) {
        if (absent(error)) return [];
        throw storageError(error, "list", full(path));
      }
    },
    partial,
  };
}
