import { isVlmError, VlmError } from "@vlm/core";
import { refusePage, validatorOf } from "../net/download.ts";
import { DEFAULTS, type HttpOptions } from "../net/http-options.ts";
import { networkError, publicUrl, statusError } from "../net/network-error.ts";
import { type Answer, send } from "../net/send.ts";
import { backoff, wait } from "../net/wait.ts";
import { type ByteSource, blobSource, checkRange } from "./byte-source.ts";

/** The first request asks for this many bytes: a safetensors file says in them how long its header is. */
const HEAD = 8;

/**
 * A file on a server, read by `Range` requests without being kept anywhere. A server that ignores ranges is worked
 * around by taking the whole file into a `Blob`. A file that changes between two reads rejects with `IntegrityError`.
 */
export async function httpSource(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const first = await send(url, { ...options, request: { range: `bytes=0-${HEAD - 1}` } });
  const { response } = first;
  if (response.status !== 206 && response.status !== 200 && response.status !== 416) {
    first.cancel();
    throw statusError(response, url);
  }
  refusePage(response, url);
  const name = publicUrl(url);
  if (response.status === 200) {
    (options.onWarning ?? console.warn)(`${name}: the server ignores ranges, the whole file is read`);
    const parts: BlobPart[] = [];
    for await (const chunk of first.body()) parts.push(chunk as BlobPart);
    const length = response.headers.get("content-length");
    const blob = new Blob(parts);
    if (length !== null && !response.headers.get("content-encoding") && Number(length) !== blob.size) {
      throw networkError("SHORT", `${blob.size} of ${length} bytes came`, url, { recoverable: true });
    }
    return blobSource(blob, name);
  }
  const range = response.headers.get("content-range") ?? "";
  const size = Number(/\/(\d+)$/.exec(range)?.[1] ?? Number.NaN);
  const head = range.startsWith(`bytes 0-${HEAD - 1}/`) ? await headOf(first) : new Uint8Array(0);
  first.cancel();
  if (!Number.isSafeInteger(size)) throw networkError("RANGE", `the server does not tell the size: "${range}"`, url);
  const identity = validatorOf(response);
  return {
    name,
    size,
    identity,
    async read(begin, end, signal = options.signal) {
      signal?.throwIfAborted();
      checkRange(name, begin, end, size);
      if (end <= head.length) return head.slice(begin, end);
      const out = new Uint8Array(end - begin);
      const { retries = DEFAULTS.retries, retryDelay = DEFAULTS.retryDelay } = options;
      let done = 0;
      for (let failures = 0; done < out.length; ) {
        const before = done;
        try {
          const request: Record<string, string> = { range: `bytes=${begin + done}-${end - 1}` };
          if (identity) request["if-range"] = identity;
          const answer = await send(url, { ...options, signal, request });
          check(answer, url, begin + done, size, identity);
          for await (const chunk of answer.body()) {
            if (done + chunk.length > out.length)
              throw networkError("LENGTH", "more bytes came than were asked for", url);
            out.set(chunk, done);
            done += chunk.length;
          }
          if (done < out.length)
            throw networkError("SHORT", `${done} of ${out.length} bytes came`, url, { recoverable: true });
        } catch (error) {
          signal?.throwIfAborted();
          if (!isVlmError(error) || !error.recoverable || error.code.startsWith("HTTP_")) throw error;
          failures = done > before ? 0 : failures + 1;
          if (failures > retries) throw error;
          await wait(backoff(failures, retryDelay), signal);
        }
      }
      return out;
    },
  };
}

/** The first bytes, which came with the size; none where the connection broke, they are asked for again then. */
async function headOf(answer: Answer): Promise<Uint8Array<ArrayBuffer>> {
  const head = new Uint8Array(HEAD);
  let filled = 0;
  try {
    for await (const chunk of answer.body()) {
      const part = chunk.subarray(0, HEAD - filled);
      head.set(part, filled);
      filled += part.length;
      if (filled === HEAD) return head;
    }
  } catch (error) {
    if (!isVlmError(error)) throw error;
  }
  return new Uint8Array(0);
}

function check(answer: Answer, url: string, begin: number, size: number, identity: string | undefined): void {
  const { response } = answer;
  const range = response.headers.get("content-range") ?? "";
  if (response.status === 206 && range.startsWith(`bytes ${begin}-`) && range.endsWith(`/${size}`)) {
    if (validatorOf(response) === identity) return;
  } else if (response.status !== 200 && response.status !== 206 && response.status !== 416) {
    answer.cancel();
    throw statusError(response, url);
  }
  answer.cancel();
  if (response.status === 206 && range.endsWith(`/${size}`) && validatorOf(response) === identity) {
    throw networkError("RANGE", `asked for bytes from ${begin}, got "${range}"`, url);
  }
  throw new VlmError("IntegrityError", "SOURCE_CHANGED", {
    what: "the file on the server changed while it was read",
    where: publicUrl(url),
    hint: "load again, or name a revision that does not change",
  });
}
