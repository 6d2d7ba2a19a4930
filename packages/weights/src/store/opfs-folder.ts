import { type ByteSource, blobSource } from "../bytes/byte-source.ts";
import type { OutputFolder } from "./output-folder.ts";
import { storageError, systemCode } from "./storage-error.ts";

/**
 * A folder of the origin private file system, or one that a visitor opened for writing (browsers). A file appears
 * whole when its stream is closed; there is no rename of folders.
 */
export function browserFolder(root: FileSystemDirectoryHandle): OutputFolder {
  const place = (path: string): [folders: string[], leaf: string] => {
    const parts = path.split("/").filter(Boolean);
    return [parts.slice(0, -1), parts.at(-1) ?? ""];
  };
  const folder = async (parts: string[], create: boolean): Promise<FileSystemDirectoryHandle> => {
    let at = root;
    for (const part of parts) at = await at.getDirectoryHandle(part, { create });
    return at;
  };
  const absent = (error: unknown): boolean => systemCode(error) === "NotFoundError";
  return {
    name: root.name || "browser storage",
    async write(path, content) {
      const [folders, leaf] = place(path);
      try {
        const stream = await (
          await (await folder(folders, true)).getFileHandle(leaf, { create: true })
        ).createWritable();
        try {
          for await (const chunk of content()) await stream.write(chunk as FileSystemWriteChunkType);
        } catch (error) {
          await stream.abort().catch(() => {});
          throw error;
        }
        await stream.close();
      } catch (error) {
        throw storageError(error, "write", path);
      }
    },
    async list(path) {
      const names: string[] = [];
      try {
        const at = await folder(path.split("/").filter(Boolean), false);
        for await (const name of at.keys()) names.push(name);
      } catch (error) {
        if (!absent(error)) throw storageError(error, "list", path);
      }
      return names.sort();
    },
    async open(path): Promise<ByteSource> {
      const [folders, leaf] = place(path);
      try {
        return blobSource(await (await (await folder(folders, false)).getFileHandle(leaf)).getFile(), path);
      } catch (error) {
        throw storageError(
          absent(error) ? Object.assign(new Error("not found"), { code: "ENOENT" }) : error,
          "open",
          path,
        );
      }
    },
    async remove(path) {
      const [folders, leaf] = place(path);
      try {
        await (await folder(folders, false)).removeEntry(leaf, { recursive: true });
      } catch (error) {
        if (!absent(error)) throw storageError(error, "remove", path);
      }
    },
    async free() {
      const { quota, usage } = (await globalThis.navigator?.storage?.estimate().catch(() => undefined)) ?? {};
      return quota === undefined || usage === undefined ? undefined : quota - usage;
    },
    lock: () => webLockNow(`vlm-folder/${root.name}`),
  };
}

/** A lock of the origin if no other tab has it. */
async function webLockNow(name: string) {
  if (!globalThis.navigator?.locks) return { release: async () => {} };
  return new Promise<{ release(): Promise<void> } | { pid: number; host: string; id: string; since: string }>(
    (resolve, reject) => {
      navigator.locks
        .request(name, { ifAvailable: true }, (held) => {
          if (!held) return resolve({ pid: 0, host: "another tab", id: name, since: "" });
          return new Promise<void>((free) => resolve({ release: async () => free() }));
        })
        .catch(reject);
    },
  );
}
