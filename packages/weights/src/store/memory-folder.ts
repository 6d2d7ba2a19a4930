import { VlmError } from "@vlm/core";
import { bytesSource } from "../bytes/byte-source.ts";
import type { OutputFolder } from "./output-folder.ts";

/** A folder in memory: for tests, and to hand a saved model on without a disk. */
export function memoryFolder(name = "memory"): OutputFolder & { readonly files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  let locked = false;
  return {
    name,
    files,
    async write(path, content) {
      const parts: BlobPart[] = [];
      for await (const chunk of content()) parts.push(new Uint8Array(chunk));
      files.set(path, new Uint8Array(await new Blob(parts).arrayBuffer()));
    },
    async rename(from, to) {
      for (const [path, bytes] of [...files]) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        files.delete(path);
        files.set(to + path.slice(from.length), bytes);
      }
    },
    async list(path) {
      const prefix = path === "" ? "" : `${path}/`;
      const names = [...files.keys()]
        .filter((key) => key.startsWith(prefix))
        .map((key) => key.slice(prefix.length).split("/")[0]!);
      return [...new Set(names)].sort();
    },
    async open(path) {
      const bytes = files.get(path);
      if (bytes) return bytesSource(bytes, path);
      throw new VlmError("StorageError", "ENOENT", { what: "cannot open: no such file", where: path });
    },
    async remove(path) {
      for (const key of [...files.keys()]) if (key === path || key.startsWith(`${path}/`)) files.delete(key);
    },
    free: async () => undefined,
    async lock() {
      if (locked) return { pid: 0, host: "this page", id: name, since: "" };
      locked = true;
      return {
        release: async () => {
          locked = false;
        },
      };
    },
  };
}
