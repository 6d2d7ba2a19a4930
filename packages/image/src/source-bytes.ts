import { printable, VlmError } from "@vlm/core";
import { decodeError, limitError } from "./decode/errors.ts";
import { builtin } from "./platform.ts";

/** Where encoded pictures come from. */
export type ByteSource = string | URL | Blob | ArrayBuffer | Uint8Array;

/** Limits and helpers while bytes are fetched. */
export type ByteOptions = {
  /** Largest file in bytes. */
  maxBytes: number;
  /** Milliseconds without a single byte after which a download is given up. */
  timeout: number;
  signal?: AbortSignal | undefined;
  fetch?: typeof fetch | undefined;
};

/** A short name of a source for messages: never the data itself, never a URL's query or credentials. */
export function sourceName(source: unknown): string {
  if (typeof source === "string" && !source.startsWith("data:")) return printable(withoutSecrets(source), 200);
  if (source instanceof URL) return printable(withoutSecrets(source.href), 200);
  if (typeof source === "string") return "a data URL";
  if (typeof Blob !== "undefined" && source instanceof Blob) {
    return "name" in source && typeof source.name === "string" ? printable(source.name) : "a Blob";
  }
  return source instanceof Uint8Array || source instanceof ArrayBuffer ? "bytes in memory" : "an image in memory";
}

function withoutSecrets(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, "$1").replace(/(^https?:[^?#]*)[?#].*$/i, "$1");
}

/**
 * All bytes of a path, URL (http, https, file, data, blob), Blob or buffer.
 * @throws `ImageLimitError` above `maxBytes`, `NetworkError` for a failed download, `StorageError` for a file that
 * cannot be read, an `AbortError` when the signal fires
 */
export async function readBytes(source: ByteSource, options: ByteOptions): Promise<Uint8Array> {
  const where = sourceName(source);
  options.signal?.throwIfAborted();
  if (typeof source === "string" || source instanceof URL) {
    return readUrl(source instanceof URL ? source.href : source, options, where);
  }
  if (source instanceof Uint8Array) return checkBytes(source, options, where);
  if (source instanceof ArrayBuffer) return checkBytes(new Uint8Array(source), options, where);
  checkSize(source.size, options, where);
  return new Uint8Array(await source.arrayBuffer());
}

async function readUrl(text: string, options: ByteOptions, where: string): Promise<Uint8Array> {
  if (text.startsWith("data:")) return checkBytes(dataUrl(text, options), options, where);
  if (/^(https?|blob):/i.test(text)) return download(text, options, where);
  const path = builtin("node:path") === undefined ? undefined : localPath(text);
  // In a browser a bare path is relative to the page.
  return path === undefined ? download(text, options, where) : readFile(path, options, where);
}

function localPath(text: string): string {
  return text.startsWith("file:") ? builtin("node:url")!.fileURLToPath(text) : text;
}

function checkSize(size: number, { maxBytes }: ByteOptions, where: string): void {
  if (size <= maxBytes) return;
  throw limitError("IM_BYTES", {
    what: `${size} bytes, the limit is ${maxBytes}`,
    where,
    hint: "raise maxBytes if you trust the source",
    details: { bytes: size, limit: maxBytes },
  });
}

function checkBytes(bytes: Uint8Array, options: ByteOptions, where: string): Uint8Array {
  checkSize(bytes.length, options, where);
  return bytes;
}

async function readFile(path: string, options: ByteOptions, where: string): Promise<Uint8Array> {
  const fs = builtin("node:fs/promises")!;
  try {
    const stat = await fs.stat(path);
    if (!stat.isFile()) throw new Error(stat.isDirectory() ? "it is a folder" : "it is no regular file");
    checkSize(stat.size, options, where);
    return await fs.readFile(path, { signal: options.signal });
  } catch (cause) {
    if (cause instanceof VlmError || (cause instanceof Error && cause.name === "AbortError")) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    throw new VlmError("StorageError", code === "ENOENT" ? "IM_NOT_FOUND" : "IM_READ", {
      what: code === "ENOENT" ? "there is no such file" : `the file cannot be read: ${(cause as Error).message}`,
      where,
      hint:
        code === "ENOENT" ? "check the path; relative paths start at the working directory" : "check its permissions",
      details: { code },
      cause,
    });
  }
}

/** Decodes a data URL (RFC 2397) here: `fetch` of one is forbidden by many content security policies. */
function dataUrl(text: string, options: ByteOptions): Uint8Array {
  const comma = text.indexOf(",");
  const meta = text.slice(5, comma < 0 ? undefined : comma);
  // Base64 makes 3 bytes of 4 characters: checked before they are made.
  checkSize(Math.floor(((text.length - comma) * 3) / 4) - 3, options, "a data URL");
  try {
    if (comma < 0) throw new Error("it has no comma");
    const body = text.slice(comma + 1);
    if (!/;base64$/i.test(meta.trim())) return new TextEncoder().encode(decodeURIComponent(body));
    const binary = atob(decodeURIComponent(body).replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(binary, (c) => c.charCodeAt(0));
  } catch (cause) {
    throw decodeError("IM_FORMAT", {
      what: "the data URL cannot be decoded",
      where: "a data URL",
      hint: "it looks like data:image/png;base64,…",
      cause,
    });
  }
}

async function download(url: string, options: ByteOptions, where: string): Promise<Uint8Array> {
  const stalled = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stalled.signal]) : stalled.signal;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), options.timeout);
  };
  alive();
  try {
    const response = await (options.fetch ?? fetch)(url, { signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw networkError("IM_HTTP", `the server answered ${response.status}`, where, response.status >= 500);
    }
    const declared = Number(response.headers.get("content-length"));
    const encoded = response.headers.get("content-encoding") !== null;
    if (declared > options.maxBytes) {
      await response.body?.cancel();
      checkSize(declared, options, where);
    }
    const bytes = await collect(response, options, where, alive);
    if (!encoded && declared > bytes.length) {
      throw networkError("IM_SHORT", `${bytes.length} of ${declared} bytes arrived`, where, true);
    }
    return bytes;
  } catch (cause) {
    if (cause instanceof VlmError) throw cause;
    options.signal?.throwIfAborted();
    if (stalled.signal.aborted) {
      throw networkError("IM_TIMEOUT", `no byte arrived for ${options.timeout} ms`, where, true, cause);
    }
    const hint =
      builtin("node:path") === undefined ? "offline, or the server does not allow this site (CORS)" : undefined;
    throw networkError("IM_FETCH", "the download failed", where, true, cause, hint);
  } finally {
    clearTimeout(timer);
  }
}

async function collect(
  response: Response,
  options: ByteOptions,
  where: string,
  alive: () => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { value, done } = await reader.read();
    if (done) break;
    alive();
    length += value.length;
    if (length > options.maxBytes) {
      await reader.cancel();
      checkSize(length, options, where);
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function networkError(
  code: string,
  what: string,
  where: string,
  recoverable: boolean,
  cause?: unknown,
  hint: string | undefined = recoverable ? "check the connection and try again" : "check the URL and its permissions",
): VlmError {
  return new VlmError("NetworkError", code, { what, where, hint, recoverable, cause });
}
