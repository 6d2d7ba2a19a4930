import { blobSource } from "../bytes/byte-source.ts";
import type { Store } from "./store.ts";

/** Keeps files in memory as `Blob`s, which browsers move to disk when they are large. */
export function memoryStore(): Store {
  const files = new Map<string, Blob>();
  const links = new Map<string, string>();
  const parts = new Map<string, { chunks: BlobPart[]; size: number; validator: string | undefined }>();
  const at = (path: string): Blob | undefined => files.get(links.get(path) ?? path);
  return {
    name: "memory",
    async open(path) {
      const blob = at(path);
      return blob && blobSource(blob, path);
    },
    readText: async (path) => at(path)?.text(),
    async writeText(path, text) {
      files.set(path, new Blob([text]));
    },
    async link(target, path) {
      links.set(path, target);
    },
    async list(path) {
      const under = [...files.keys(), ...links.keys()].filter((name) => name.startsWith(`${path}/`));
      return under.map((name) => name.slice(path.length + 1));
    },
    async partial(path) {
      const empty = (validator: string | undefined) => ({ chunks: [], size: 0, validator });
      let part = parts.get(path) ?? empty(undefined);
      parts.set(path, part);
      return {
        get size() {
          return part.size;
        },
        get validator() {
          return part.validator;
        },
        async write(chunk) {
          part.chunks.push(new Uint8Array(chunk));
          part.size += chunk.length;
        },
        async reset(validator) {
          part = empty(validator);
          parts.set(path, part);
        },
        source: async () => blobSource(new Blob(part.chunks), path),
        async commit() {
          files.set(path, new Blob(part.chunks));
          parts.delete(path);
        },
        async quarantine() {
          part = empty(undefined);
          parts.delete(path);
        },
        close: async () => {},
      };
    },
  };
}
