import { isVlmError, VlmError } from "@vlm/core";
import type { ByteSource } from "../bytes/byte-source.ts";
import { gitBlobId, hashOf } from "../bytes/hash.ts";
import { type Downloaded, type DownloadOptions, download } from "../net/download.ts";
import { publicUrl } from "../net/network-error.ts";
import { memoryStore } from "../store/memory-store.ts";
import type { Store } from "../store/store.ts";

export type Expected = {
  size?: number | undefined;
  sha256?: string | undefined;
  /** SHA-1 of the git blob, which the Hub announces for small files. */
  gitId?: string | undefined;
};

/** Files larger than this are not hashed the way git does, which needs them in memory. */
const MAX_GIT_FILE = 64 << 20;

/**
 * Downloads a file into a store and checks its hash; wrong bytes are set aside and fetched once more. When the store
 * is full, the file is given in memory instead, unless `persist` is set. Throws `NetworkError`, `IntegrityError` or `StorageError`.
 */
export async function fetchToStore(
  store: Store,
  path: string,
  url: string,
  expected: Expected,
  options: DownloadOptions & { persist?: boolean | undefined },
): Promise<{ inMemory: ByteSource | undefined; got: Downloaded }> {
  try {
    const { file, got } = await fill(store, path, url, expected, options);
    await file.close?.();
    return { inMemory: undefined, got };
  } catch (error) {
    if (!isVlmError(error) || !["ENOSPC", "EDQUOT", "QuotaExceededError"].includes(error.code)) throw error;
    if (options.persist || (expected.size ?? 0) > 2 ** 31) throw error;
    (options.onWarning ?? console.warn)(`${store.name} is full: ${publicUrl(url)} is kept in memory`);
    const { file, got } = await fill(memoryStore(), path, url, expected, options);
    return { inMemory: file, got };
  }
}

async function fill(
  store: Store,
  path: string,
  url: string,
  expected: Expected,
  options: DownloadOptions,
): Promise<{ file: ByteSource; got: Downloaded }> {
  for (let attempt = 0; ; attempt++) {
    const partial = await store.partial(path, options.signal);
    try {
      // Somebody else may have finished while this one waited.
      const done = options.immutable ? await store.open(path) : undefined;
      if (done) return { file: done, got: { size: done.size, validator: undefined, hash: expected.sha256 } };
      const got = await download(url, partial, { ...options, size: expected.size });
      const wrong = await verify(
        partial.source.bind(partial),
        { ...expected, sha256: expected.sha256 ?? got.hash },
        options.signal,
      );
      if (!wrong) {
        await partial.commit();
        const file = await store.open(path);
        if (file) return { file, got };
        throw new VlmError("StorageError", "EVICTED", { what: "the file vanished after it was stored", where: path });
      }
      await partial.quarantine();
      if (attempt > 0) throw integrityError(url, wrong);
      (options.onWarning ?? console.warn)(`${publicUrl(url)}: wrong content came, it is fetched once more`);
    } finally {
      await partial.close();
    }
  }
}

type Wrong = { expected: string; got: string };

async function verify(
  open: () => Promise<ByteSource>,
  expected: Expected,
  signal?: AbortSignal,
): Promise<Wrong | undefined> {
  const want = expected.sha256 ?? expected.gitId;
  if (want === undefined) return undefined;
  const source = await open();
  try {
    if (!expected.sha256 && (source.size > MAX_GIT_FILE || !globalThis.crypto?.subtle)) return undefined;
    const got = expected.sha256 ? await hashOf(source, signal) : await gitBlobId(source, signal);
    return got === want ? undefined : { expected: want, got };
  } finally {
    await source.close?.();
  }
}

function integrityError(url: string, { expected, got }: Wrong): VlmError {
  return new VlmError("IntegrityError", "HASH", {
    what: `the content is not what its host announces: hash ${expected} expected, got ${got}`,
    where: publicUrl(url),
    hint: "something on the way changes the file, or the host is damaged; try another network",
    details: { expected, got },
  });
}
