import { printable, VlmError } from "@vlm/core";
import { blobSource, bytesSource } from "../bytes/byte-source.ts";
import { isNode } from "../store/default-store.ts";
import { directorySource, filesSource, folderSource } from "./folder-source.ts";
import { looksLikeHubId } from "./hub-id.ts";
import { hubSource, storeOf } from "./hub-source.ts";
import type { ModelSource } from "./model-source.ts";
import type { SourceOptions } from "./source-options.ts";
import { subfolderSource } from "./subfolder-source.ts";
import { openUrl, urlSource } from "./url-source.ts";

/**
 * What can be loaded: a folder, a file, a Hub id `owner/name@revision` (or `hf:name`), a URL of either, bytes, a
 * `Blob`, chosen `File`s, an opened directory, or an own `ModelSource`.
 */
export type SourceLike = string | URL | Uint8Array | Blob | readonly File[] | FileSystemDirectoryHandle | ModelSource;

/** Finds out what a source is. A path that exists wins over a Hub id of the same form. */
export async function openSource(source: SourceLike, options: SourceOptions = {}): Promise<ModelSource> {
  const opened = await resolve(source, options);
  return options.subfolder ? subfolderSource(opened, options.subfolder) : opened;
}

async function resolve(source: SourceLike, options: SourceOptions): Promise<ModelSource> {
  if (source instanceof Uint8Array) return filesSource(new Map([["model.safetensors", bytesSource(source)]]));
  if (source instanceof Blob) return filesSource(new Map([["model.safetensors", blobSource(source)]]));
  if (Array.isArray(source)) return filesSource(new Map(source.map((file: File) => [file.name, blobSource(file)])));
  if (source instanceof URL) return fromAddress(source.href, options);
  if (typeof source === "object") {
    if ("getDirectoryHandle" in source) return directorySource(source);
    if ("open" in source) return source;
  }
  if (typeof source !== "string" || source === "") {
    throw new VlmError("ArgumentError", "SOURCE", {
      what: `a source is a path, an address, a Hub id or data, got ${typeof source}`,
    });
  }
  if (/^(https?|file):\/\//i.test(source)) return fromAddress(source, options);
  if (source.startsWith("hf:")) return hubSource(source, options);
  const local = isNode() ? await fromPath(source) : undefined;
  if (local) return local;
  if (looksLikeHubId(source)) return hubSource(source, options);
  if (!isNode()) return fromAddress(new URL(source, location.href).href, options);
  throw new VlmError("StorageError", "ENOENT", {
    what: `there is no file or folder "${printable(source)}"`,
    hint: 'a model on the Hub is named "owner/name"',
  });
}

async function fromAddress(address: string, options: SourceOptions): Promise<ModelSource> {
  const url = new URL(address);
  if (url.protocol === "file:") {
    const { fileURLToPath } = await import("node:url");
    return openSource(fileURLToPath(url), options);
  }
  if (!/\.[a-z]+$/i.test(url.pathname)) return urlSource(url, options);
  // A single file: it stands for a folder that holds just this one, under its own name.
  const name = decodeURIComponent(url.pathname.split("/").at(-1)!);
  const store = options.cache === false ? undefined : await storeOf(options);
  const folder = new URL(".", url);
  folder.search = url.search;
  const around = await urlSource(folder, options);
  return {
    name: around.name,
    list: async () => [name],
    open: (path, signal = options.signal) =>
      path === name ? openUrl(url.href, name, store, { ...options, signal }) : around.open(path, signal),
  };
}

async function fromPath(path: string): Promise<ModelSource | undefined> {
  const { stat } = await import("node:fs/promises");
  const { basename, dirname } = await import("node:path");
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  if (found.isDirectory()) return folderSource(path);
  const folder = await folderSource(dirname(path));
  return { name: path, open: folder.open, list: async () => [basename(path)] };
}
