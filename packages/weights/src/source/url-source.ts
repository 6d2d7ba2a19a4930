import { isVlmError, VlmError } from "@vlm/core";
import type { ByteSource } from "../bytes/byte-source.ts";
import { sha256 } from "../bytes/hash.ts";
import { httpSource } from "../bytes/http-source.ts";
import { validatorOf } from "../net/download.ts";
import { publicUrl } from "../net/network-error.ts";
import { bareETag, send } from "../net/send.ts";
import { checkPath } from "../safetensors/safe-path.ts";
import type { Store } from "../store/store.ts";
import { fetchToStore } from "./fetch-to-store.ts";
import { storeOf, vanished } from "./hub-source.ts";
import type { ModelSource } from "./model-source.ts";
import { singleFlight } from "./single-flight.ts";
import type { SourceOptions } from "./source-options.ts";

/**
 * A folder on a web server. Files are kept in the cache and used again as long as the server says that they are the
 * same; offline they are used as they are. The query of the address goes with every file (signed links).
 */
export async function urlSource(base: string | URL, options: SourceOptions = {}): Promise<ModelSource> {
  const root = new URL(base);
  if (!root.pathname.endsWith("/")) root.pathname += "/";
  const store = options.cache === false ? undefined : await storeOf(options);
  return {
    name: publicUrl(root),
    async open(path, signal = options.signal) {
      checkPath(path, publicUrl(root));
      const url = new URL(path.split("/").map(encodeURIComponent).join("/"), root);
      url.search = root.search;
      // Checked before and after: what the resolved address means is what counts.
      if (url.origin !== root.origin || !url.pathname.startsWith(root.pathname)) {
        throw new VlmError("UnsafePathError", "UNSAFE_PATH", {
          what: `"${path}" leaves its folder`,
          where: publicUrl(root),
        });
      }
      return openUrl(url.href, path, store, { ...options, signal });
    },
    list: async () => undefined,
  };
}

/** One file on a web server, through the cache. */
export async function openUrl(
  url: string,
  label: string,
  store: Store | undefined,
  options: SourceOptions,
): Promise<ByteSource> {
  if (!store) {
    if (options.offline) throw offline(url);
    return httpSource(url, options);
  }
  const { origin, pathname } = new URL(url);
  // The query may hold a signature that is new each time; it does not name another file.
  const hash = await sha256();
  hash.update(new TextEncoder().encode(origin + pathname));
  const folder = `vlm-urls/${hash.hex()}`;
  const inMemory = await singleFlight(store, folder, options.signal, (signal) =>
    refresh(url, label, store, folder, { ...options, signal }),
  );
  // Everybody who waited gets a source of his own, since each closes it.
  return inMemory ?? (await store.open(`${folder}/file`)) ?? vanished(publicUrl(url), label);
}

/** Brings a cached file up to date. Gives it only where it could not be kept in the cache. */
async function refresh(
  url: string,
  label: string,
  store: Store,
  folder: string,
  options: SourceOptions,
): Promise<ByteSource | undefined> {
  const path = `${folder}/file`;
  const note = await store.readText(`${folder}/validator`);
  const cached = note === undefined ? undefined : await store.open(path);
  await cached?.close?.();
  const onBytes = (loaded: number, total: number | undefined): void =>
    options.onProgress?.({ file: label, loaded, total });
  if (options.offline) {
    if (cached) return undefined;
    throw offline(url);
  }
  if (cached && (await unchanged(url, note!, cached.size, options))) {
    onBytes(cached.size, cached.size);
    return undefined;
  }
  const { inMemory, got } = await fetchToStore(store, path, url, {}, { ...options, onBytes });
  if (inMemory) return inMemory;
  await store.writeText(`${folder}/validator`, got.validator ?? "");
  await store.writeText(`${folder}/url`, publicUrl(url));
  return undefined;
}

/** Asks the server whether a cached file is still the same. A server that cannot be reached is taken for a yes. */
async function unchanged(url: string, validator: string, size: number, options: SourceOptions): Promise<boolean> {
  if (validator === "") return false;
  try {
    const { response, cancel } = await send(url, { ...options, method: "HEAD" });
    cancel();
    const length = response.headers.get("content-length");
    if (response.status !== 200) return false;
    const found = validatorOf(response);
    return bareETag(found ?? null) === bareETag(validator) && (length === null || Number(length) === size);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isVlmError(error) || !error.recoverable) throw error;
    (options.onWarning ?? console.warn)(`${publicUrl(url)}: the server cannot be reached, the cached file is used`);
    return true;
  }
}

function offline(url: string): VlmError {
  return new VlmError("NetworkError", "OFFLINE", {
    what: "the file is not in the cache, and offline mode is on",
    where: publicUrl(url),
    hint: "load it once with a network",
  });
}
