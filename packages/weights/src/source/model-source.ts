import type { ByteSource } from "../bytes/byte-source.ts";

/** A folder of a model's files, wherever it lies. Paths are relative and use "/". */
export interface ModelSource {
  /** For messages: a path, an address, `owner/name@revision`. */
  readonly name: string;
  /** Opens a file. Rejects with `StorageError` `ENOENT` or `NetworkError` `HTTP_404` where there is none. */
  open(path: string, signal?: AbortSignal): Promise<ByteSource>;
  /** Names of all files, or undefined where they cannot be listed (plain web servers). */
  list(signal?: AbortSignal): Promise<readonly string[] | undefined>;
}

/** Opens a file, or gives undefined where there is none. */
export async function openIfThere(
  source: ModelSource,
  path: string,
  signal?: AbortSignal,
): Promise<ByteSource | undefined> {
  try {
    return await source.open(path, signal);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ENOENT" || code === "HTTP_404") return undefined;
    throw error;
  }
}
