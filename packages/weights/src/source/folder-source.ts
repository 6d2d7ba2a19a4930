import { VlmError } from "@vlm/core";
import { type ByteSource, blobSource } from "../bytes/byte-source.ts";
import { fileSource } from "../bytes/file-source.ts";
import { checkPath } from "../safetensors/safe-path.ts";
import { storageError, systemCode } from "../store/storage-error.ts";
import type { ModelSource } from "./model-source.ts";

/**
 * A folder on disk (Node). Links may lead elsewhere only inside the folder, or, as in the cache of `huggingface_hub`,
 * from a `snapshots` folder into the `blobs` folder beside it.
 */
export async function folderSource(folder: string): Promise<ModelSource> {
  const fs = await import("node:fs/promises");
  const { join, dirname, sep } = await import("node:path");
  const root = await fs.realpath(folder).catch((error) => {
    throw storageError(error, "open", folder);
  });
  const snapshots = dirname(root);
  const blobs = snapshots.endsWith(`${sep}snapshots`) ? join(dirname(snapshots), "blobs") : undefined;
  return {
    name: folder,
    async open(path) {
      const full = join(root, ...checkPath(path, folder).split("/"));
      const real = await fs.realpath(full).catch((error) => {
        throw storageError(error, "open", full);
      });
      const inside = real.startsWith(root + sep) || (blobs !== undefined && real.startsWith(blobs + sep));
      if (!inside) {
        throw new VlmError("UnsafePathError", "UNSAFE_LINK", {
          what: `"${path}" is a link that leads out of its folder`,
          where: folder,
          hint: "copy the file into the folder",
          details: { path },
        });
      }
      return fileSource(real, full);
    },
    async list() {
      const entries = await fs.readdir(root, { recursive: true }).catch((error) => {
        throw storageError(error, "list", folder);
      });
      return entries.map((path) => path.replaceAll("\\", "/")).sort();
    },
  };
}

/** A folder that a visitor opened in a browser (`showDirectoryPicker`), or one in the origin private file system. */
export function directorySource(root: FileSystemDirectoryHandle): ModelSource {
  return {
    name: root.name || "folder",
    async open(path): Promise<ByteSource> {
      const parts = checkPath(path, root.name).split("/");
      const leaf = parts.pop()!;
      try {
        let at = root;
        for (const part of parts) at = await at.getDirectoryHandle(part);
        return blobSource(await (await at.getFileHandle(leaf)).getFile(), path);
      } catch (error) {
        if (systemCode(error) !== "NotFoundError") throw storageError(error, "open", path);
        throw new VlmError("StorageError", "ENOENT", { what: "cannot open: no such file", where: path, cause: error });
      }
    },
    async list() {
      const names: string[] = [];
      const walk = async (directory: FileSystemDirectoryHandle, prefix: string): Promise<void> => {
        for await (const [name, handle] of directory.entries()) {
          if (handle.kind === "file") names.push(prefix + name);
          else await walk(handle as FileSystemDirectoryHandle, `${prefix}${name}/`);
        }
      };
      await walk(root, "");
      return names.sort();
    },
  };
}

/** Files in memory or chosen by a visitor, by name. */
export function filesSource(files: ReadonlyMap<string, ByteSource>, name = "files"): ModelSource {
  return {
    name,
    async open(path) {
      const file = files.get(path);
      if (file) return file;
      throw new VlmError("StorageError", "ENOENT", {
        what: `no file "${path}"; there are ${[...files.keys()].join(", ") || "none"}`,
        where: name,
      });
    },
    list: async () => [...files.keys()],
  };
}
