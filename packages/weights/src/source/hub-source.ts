import { isVlmError, printable, VlmError } from "@vlm/core";
import type { ByteSource } from "../bytes/byte-source.ts";
import { httpSource } from "../bytes/http-source.ts";
import type { JsonValue } from "../json/json-scanner.ts";
import { parseJson } from "../json/read-json.ts";
import { refusePage } from "../net/download.ts";
import { statusError } from "../net/network-error.ts";
import { send } from "../net/send.ts";
import { checkPath } from "../safetensors/safe-path.ts";
import { defaultStore, environment, hfHome, isNode } from "../store/default-store.ts";
import type { Store } from "../store/store.ts";
import { type Expected, fetchToStore } from "./fetch-to-store.ts";
import { parseHubId } from "./hub-id.ts";
import type { ModelSource } from "./model-source.ts";
import { singleFlight } from "./single-flight.ts";
import type { SourceOptions } from "./source-options.ts";

/** What the Hub says about a revision. */
type Listing = { commit: string; files: ReadonlyMap<string, Expected> };

/**
 * A model on the Hugging Face Hub. Files are kept in the cache that `huggingface_hub` uses (`blobs`, `snapshots`,
 * `refs`), each checked against the hash the Hub announces. A commit that is cached needs no network at all.
 */
export async function hubSource(id: string, options: SourceOptions = {}): Promise<ModelSource> {
  const { repo, revision } = parseHubId(id, options.revision);
  const endpoint = (options.endpoint ?? environment("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, "");
  const offline =
    options.offline ??
    /^(1|on|yes|true)$/i.test(environment("HF_HUB_OFFLINE") ?? environment("TRANSFORMERS_OFFLINE") ?? "");
  const store = options.cache === false ? undefined : await storeOf(options);
  const base = `models--${repo.replace("/", "--")}`;
  const token = options.token === undefined ? await savedToken() : options.token || undefined;
  const http = { ...options, headers: { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) } };
  const name = `${repo}@${revision}`;
  let listing: Listing | undefined;

  async function ask(signal = options.signal): Promise<Listing> {
    if (listing) return listing;
    const address = `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const answer = await send(address, { ...http, signal });
    if (answer.response.status !== 200) {
      answer.cancel();
      throw statusError(answer.response, `${endpoint}/${repo}`);
    }
    refusePage(answer.response, address);
    const parts: Uint8Array[] = [];
    for await (const chunk of answer.body()) parts.push(chunk);
    const text = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
    listing = parseListing(parseJson(text, name), name);
    if (store && listing.commit !== revision) await store.writeText(`${base}/refs/${revision}`, listing.commit);
    return listing;
  }

  /** The commit: the revision itself if it is one, else what the Hub says, else (offline) what it said last time. */
  async function commitOf(signal?: AbortSignal): Promise<string> {
    if (/^[0-9a-f]{40}$/.test(revision)) return revision;
    const known = async () => (await store?.readText(`${base}/refs/${revision}`))?.trim();
    if (!offline) {
      try {
        return (await ask(signal)).commit;
      } catch (error) {
        const cached = await known();
        if (!cached || !isVlmError(error) || !error.recoverable) throw error;
        (options.onWarning ?? console.warn)(`${name}: the Hub cannot be reached, the cached version is used`);
        return cached;
      }
    }
    const cached = await known();
    if (cached && /^[0-9a-f]{40,64}$/.test(cached)) return cached;
    throw offlineError(name, "this revision");
  }

  async function open(path: string, signal = options.signal): Promise<ByteSource> {
    checkPath(path, name);
    const commit = await commitOf(signal);
    const snapshot = `${base}/snapshots/${commit}/${path}`;
    const cached = await store?.open(snapshot);
    if (cached) {
      options.onProgress?.({ file: path, loaded: cached.size, total: cached.size });
      return cached;
    }
    if (offline) throw offlineError(name, path);
    const { files } = await ask(signal);
    const expected = files.get(path);
    if (!expected) {
      throw new VlmError("NetworkError", "HTTP_404", {
        what: `there is no file "${printable(path)}"`,
        where: name,
        hint: `the model has ${[...files.keys()].slice(0, 20).join(", ") || "no files"}`,
        details: { path },
      });
    }
    const url = `${endpoint}/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
    if (!store) return httpSource(url, { ...http, signal });
    const blob = `${base}/blobs/${expected.sha256 ?? expected.gitId}`;
    const inMemory = await singleFlight(store, blob, signal, async (shared) => {
      const onBytes = (loaded: number, total: number | undefined): void =>
        options.onProgress?.({ file: path, loaded, total });
      if (!(await isKept(store, blob))) {
        const download = { ...http, signal: shared, immutable: true, onBytes, persist: options.persist };
        const { inMemory } = await fetchToStore(store, blob, url, expected, download);
        if (inMemory) return inMemory;
      }
      await store.link(blob, snapshot);
      return undefined;
    });
    // Everybody who waited gets a source of his own, since each closes it.
    return inMemory ?? (await store.open(snapshot)) ?? vanished(name, path);
  }

  return {
    name,
    open: (path, signal) => open(path, signal),
    async list(signal) {
      if (!offline) {
        try {
          return [...(await ask(signal)).files.keys()];
        } catch (error) {
          if (!isVlmError(error) || !error.recoverable) throw error;
        }
      }
      return store?.list(`${base}/snapshots/${await commitOf(signal)}`);
    },
  };
}

async function isKept(store: Store, path: string): Promise<boolean> {
  const file = await store.open(path);
  await file?.close?.();
  return file !== undefined;
}

/** Throws for a file that was stored and is gone: a browser under pressure, or somebody clearing the cache. */
export function vanished(where: string, path: string): never {
  throw new VlmError("StorageError", "EVICTED", {
    what: `"${printable(path)}" vanished from the cache while it was opened`,
    where,
    hint: "load again",
    recoverable: true,
  });
}

export async function storeOf(options: SourceOptions): Promise<Store> {
  const { cache } = options;
  if (typeof cache === "object") return cache;
  if (typeof cache === "string") return (await import("../store/node-store.ts")).nodeStore(cache);
  return defaultStore(options.onWarning, options.persist);
}

/** The token of the environment, or the one that `hf auth login` saved. */
async function savedToken(): Promise<string | undefined> {
  const named = environment("HF_TOKEN") ?? environment("HUGGING_FACE_HUB_TOKEN");
  if (named || !isNode()) return named?.trim();
  const { readFile } = await import("node:fs/promises");
  const path = environment("HF_TOKEN_PATH") ?? `${await hfHome()}/token`;
  return (await readFile(path, "utf8").catch(() => "")).trim() || undefined;
}

/** Reads the Hub's answer; hashes and names are checked because they become paths. */
function parseListing(value: JsonValue, name: string): Listing {
  const wrong = (what: string): VlmError =>
    new VlmError("NetworkError", "HUB_ANSWER", { what: `the Hub's answer is not understood: ${what}`, where: name });
  const { sha, siblings } = (value ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !/^[0-9a-f]{40,64}$/.test(sha)) throw wrong("no commit");
  if (!Array.isArray(siblings)) throw wrong("no list of files");
  const files = new Map<string, Expected>();
  for (const entry of siblings as { [key: string]: unknown }[]) {
    const { rfilename, size, blobId } = entry;
    const lfs = entry.lfs as { sha256?: unknown; size?: unknown } | null | undefined;
    const sha256 = typeof lfs?.sha256 === "string" ? lfs.sha256 : undefined;
    const gitId = typeof blobId === "string" ? blobId : undefined;
    // A file whose name or hash cannot be a path cannot be opened either; it must not make the others unusable.
    if (typeof rfilename !== "string" || !/^[0-9a-f]{40,64}$/.test(sha256 ?? gitId ?? "")) continue;
    files.set(rfilename, { size: typeof size === "number" ? size : undefined, sha256, gitId });
  }
  return { commit: sha, files };
}

function offlineError(name: string, what: string): VlmError {
  return new VlmError("NetworkError", "OFFLINE", {
    what: `${printable(what)} is not in the cache, and offline mode is on`,
    where: name,
    hint: "load it once with a network, or unset HF_HUB_OFFLINE",
  });
}
