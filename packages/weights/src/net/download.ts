import { isVlmError, VlmError } from "@vlm/core";
import { DEFAULTS, type HttpOptions } from "./http-options.ts";
import { networkError, statusError } from "./network-error.ts";
import { type Answer, bareETag, send } from "./send.ts";
import { backoff, wait } from "./wait.ts";

/** Where a download goes: it can be appended to, and emptied to start again. */
export type Sink = {
  /** Bytes that are there already. */
  readonly size: number;
  /** What identified the content these bytes belong to, kept beside them. */
  readonly validator: string | undefined;
  /** Appends bytes. */
  write(chunk: Uint8Array): Promise<void>;
  /** Empties the sink and remembers what the bytes to come belong to. */
  reset(validator: string | undefined): Promise<void>;
};

export type DownloadOptions = HttpOptions & {
  /** Size announced by the host's listing. */
  size?: number | undefined;
  /** The address names the content (a commit): a part may be continued without a validator, since a hash is checked. */
  immutable?: boolean;
  /** Told after each piece: bytes of this file so far, and in all if known. */
  onBytes?: (done: number, total: number | undefined) => void;
};

export type Downloaded = { size: number; validator: string | undefined; hash: string | undefined };

/**
 * Downloads into a sink, continuing what is there already, and again after each break, as long as bytes keep coming.
 * Bytes of two versions of a file are never joined. Throws `NetworkError`; the sink then keeps what came.
 */
export async function download(url: string, sink: Sink, options: DownloadOptions = {}): Promise<Downloaded> {
  const { retries = DEFAULTS.retries, retryDelay = DEFAULTS.retryDelay, onWarning = console.warn } = options;
  let failures = 0;
  // Progress is what was never reached before: a server that makes us start again and again must not go on for ever.
  let furthest = sink.size;
  for (;;) {
    try {
      return await once(url, sink, options, onWarning);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isVlmError(error) || error.name !== "NetworkError" || !error.recoverable) throw error;
      failures = sink.size > furthest ? 0 : failures + 1;
      furthest = Math.max(furthest, sink.size);
      if (failures > retries || error.code.startsWith("HTTP_")) throw error;
      await wait(backoff(failures, retryDelay), options.signal);
    }
  }
}

async function once(
  url: string,
  sink: Sink,
  options: DownloadOptions,
  warn: (message: string) => void,
): Promise<Downloaded> {
  const { validator } = sink;
  const start = options.immutable || validator ? sink.size : 0;
  if (start === 0 && sink.size > 0) await sink.reset(undefined);
  if (start > 0 && start === options.size) return { size: start, validator, hash: undefined };
  // Compressed transfer would make lengths and ranges mean something else (browsers do not let it be chosen).
  const request: Record<string, string> = "window" in globalThis ? {} : { "accept-encoding": "identity" };
  if (start > 0) request.range = `bytes=${start}-`;
  if (start > 0 && !options.immutable && validator) request["if-range"] = validator;
  const answer = await send(url, { ...options, request });
  const { response } = answer;
  const found = validatorOf(response);
  try {
    const total = await place(answer, url, start, sink, options, warn);
    options.onBytes?.(sink.size, total);
    for await (const chunk of answer.body()) {
      if (total !== undefined && sink.size + chunk.length > total) {
        await sink.reset(undefined);
        throw networkError("LENGTH", `more than the ${total} bytes announced came`, url, { details: { total } });
      }
      await sink.write(chunk);
      options.onBytes?.(sink.size, total);
    }
    if (total !== undefined && sink.size < total) {
      const what = `the connection ended after ${sink.size} of ${total} bytes`;
      throw networkError("SHORT", what, url, { recoverable: true, details: { done: sink.size, total } });
    }
    return { size: sink.size, validator: found, hash: answer.linkedHash };
  } finally {
    answer.cancel();
  }
}

/** Checks the head of an answer and makes the sink ready for its body. Gives the file's size, if it is known. */
async function place(
  { response }: Answer,
  url: string,
  start: number,
  sink: Sink,
  options: DownloadOptions,
  warn: (message: string) => void,
): Promise<number | undefined> {
  if (response.status === 416) {
    await sink.reset(undefined);
    throw networkError("RANGE", `the server has no bytes from ${start} on: the file changed`, url, {
      recoverable: true,
    });
  }
  if (response.status !== 200 && response.status !== 206) throw statusError(response, url);
  refusePage(response, url);
  if (response.status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    const total = range && range[3] !== "*" ? Number(range[3]) : options.size;
    if (!range || Number(range[1]) !== start || (options.size !== undefined && total !== options.size)) {
      await sink.reset(undefined);
      const got = response.headers.get("content-range") ?? "no Content-Range";
      throw networkError("RANGE", `asked for bytes from ${start}, got ${got}`, url, { recoverable: true });
    }
    return total;
  }
  if (start > 0) warn(`${new URL(url).host} sent the whole file instead of the rest: starting again`);
  await sink.reset(validatorOf(response));
  const encoded = response.headers.get("content-encoding");
  const length = response.headers.get("content-length");
  const announced = length !== null && (!encoded || encoded === "identity") ? Number(length) : undefined;
  if (announced !== undefined && options.size !== undefined && announced !== options.size) {
    throw networkError("LENGTH", `the file should have ${options.size} bytes, the server sends ${announced}`, url, {
      details: { expected: options.size, got: announced },
    });
  }
  return announced ?? options.size;
}

/** A login page of a captive portal or a proxy comes with status 200: it must not be kept as weights. */
export function refusePage(response: Response, url: string): void {
  const type = response.headers.get("content-type") ?? "";
  if (!/^text\/html\b/i.test(type)) return;
  throw new VlmError("WeightFormatError", "HTTP_HTML", {
    what: "expected a file, got text/html",
    where: new URL(url).host + new URL(url).pathname,
    hint: "the address may lead to a page, or a network login may be in between",
  });
}

/** What `If-Range` can compare: a strong ETag, else the date. */
export function validatorOf(response: Response): string | undefined {
  const etag = response.headers.get("etag");
  if (etag && !etag.startsWith("W/") && bareETag(etag)) return etag;
  return response.headers.get("last-modified") ?? undefined;
}
