import { isVlmError } from "@vlm/core";
import { DEFAULTS, type HttpOptions } from "./http-options.ts";
import { connectionError, isTransient, networkError, statusError } from "./network-error.ts";
import { backoff, retryAfter, wait } from "./wait.ts";

const MAX_REDIRECTS = 10;

/** A response whose head has come, and how to read its body. */
export type Answer = {
  readonly response: Response;
  /** Address after redirects. */
  readonly url: string;
  /** SHA-256 that the first host announced for the file it redirects to (`X-Linked-ETag` of the Hub). */
  readonly linkedHash: string | undefined;
  /** The body in pieces. Rejects when it stalls, breaks or is aborted. */
  body(): AsyncGenerator<Uint8Array>;
  /** Ends the connection without reading on. */
  cancel(): void;
};

export type SendOptions = HttpOptions & { method?: string; request?: Record<string, string> };

/**
 * One request, tried again while the failure may pass (connection, 408, 429, 5xx). Redirects are followed by hand, so
 * that `headers` go to the declared origin only and https is never left. Other statuses come back as they are.
 */
export async function send(url: string, options: SendOptions): Promise<Answer> {
  const {
    retries = DEFAULTS.retries,
    retryDelay = DEFAULTS.retryDelay,
    maxRetryDelay = DEFAULTS.maxRetryDelay,
  } = options;
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted();
    let pause = backoff(attempt, retryDelay);
    try {
      const answer = await follow(url, options);
      const { response } = answer;
      if (!isTransient(response.status)) return answer;
      answer.cancel();
      const asked = retryAfter(response);
      if (attempt >= retries || (asked !== undefined && asked > maxRetryDelay)) {
        const error = statusError(response, url);
        if (asked !== undefined) error.details.retryAfter = asked / 1000;
        throw error;
      }
      pause = asked ?? pause;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (attempt >= retries || !isVlmError(error) || error.code !== "CONNECTION") throw error;
    }
    await wait(pause, options.signal);
  }
}

async function follow(start: string, options: SendOptions): Promise<Answer> {
  const origin = new URL(start).origin;
  let url = start;
  let linkedHash: string | undefined;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await attempt(url, options, new URL(url).origin === origin, "manual");
    const { response } = answer;
    linkedHash ??= sha256Of(response.headers.get("x-linked-etag"));
    if (response.type === "opaqueredirect") return { ...(await inBrowser(url, options)), linkedHash };
    if (![301, 302, 303, 307, 308].includes(response.status)) return { ...answer, url, linkedHash };
    answer.cancel();
    const location = response.headers.get("location");
    if (!location) throw networkError("REDIRECT", "a redirect without an address", url);
    const next = new URL(location, url);
    if (!/^https?:$/.test(next.protocol) || (url.startsWith("https:") && next.protocol === "http:")) {
      throw networkError("REDIRECT", `refused to be redirected from ${new URL(url).protocol} to ${next.protocol}`, url);
    }
    url = next.href;
  }
  throw networkError("REDIRECT", `more than ${MAX_REDIRECTS} redirects`, start);
}

/**
 * Browsers hide where a redirect leads and follow it themselves. They drop `Authorization` on the way to another
 * origin, but not other headers: with such headers a redirect is refused rather than leaked.
 */
async function inBrowser(url: string, options: SendOptions): Promise<Answer> {
  if (Object.keys(options.headers ?? {}).some((name) => name.toLowerCase() !== "authorization")) {
    throw networkError("REDIRECT", "a redirect would carry custom headers to another host", url, {
      hint: "use the final address, or leave the headers away",
    });
  }
  return attempt(url, options, true, "follow");
}

async function attempt(
  url: string,
  options: SendOptions,
  declared: boolean,
  redirect: RequestRedirect,
): Promise<Answer> {
  const { fetch: request = globalThis.fetch, stallTimeout = DEFAULTS.stallTimeout, signal } = options;
  const controller = new AbortController();
  const forward = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", forward, { once: true });
  const done = (): void => signal?.removeEventListener("abort", forward);
  const stalled = networkError("STALLED", `nothing came for ${stallTimeout / 1000} s`, url, { recoverable: true });
  const guard = async <T>(promise: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => controller.abort(stalled), stallTimeout);
    try {
      return await promise;
    } catch (cause) {
      done();
      signal?.throwIfAborted();
      throw connectionError(controller.signal.aborted ? controller.signal.reason : cause, url);
    } finally {
      clearTimeout(timer);
    }
  };
  const response = await guard(
    request(url, {
      method: options.method ?? "GET",
      headers: { ...(declared ? options.headers : {}), ...options.request },
      redirect,
      signal: controller.signal,
    }),
  );
  return {
    response,
    url: response.url || url,
    linkedHash: undefined,
    cancel() {
      done();
      // Without an abort the connection would go on receiving a body that nobody reads.
      controller.abort();
    },
    async *body() {
      const reader = response.body?.getReader();
      try {
        for (;;) {
          const next = await guard(reader?.read() ?? Promise.resolve({ done: true as const, value: undefined }));
          if (next.done) return;
          yield next.value;
        }
      } finally {
        done();
        controller.abort();
      }
    },
  };
}

const sha256Of = (etag: string | null): string | undefined => {
  const bare = bareETag(etag);
  return bare && /^[0-9a-f]{64}$/.test(bare) ? bare : undefined;
};

/** An ETag without quotes and weakness mark. */
export const bareETag = (etag: string | null): string | undefined =>
  etag?.replace(/^W\//, "").replace(/^"|"$/g, "") || undefined;
