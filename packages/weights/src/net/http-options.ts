/** How requests are made. Everything has a default. */
export type HttpOptions = {
  /** Sent to the origin of the address that was asked for, never to a host it redirects to. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Aborts requests and waits; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** How often a failed request is tried again without any byte of progress; default 5. */
  retries?: number | undefined;
  /** First wait before trying again, in milliseconds; it doubles each time, with jitter; default 500. */
  retryDelay?: number | undefined;
  /** The longest wait that a server may ask for by `Retry-After`, in milliseconds; default 60,000. */
  maxRetryDelay?: number | undefined;
  /** Give up on a connection that sends nothing for this many milliseconds; default 30,000. */
  stallTimeout?: number | undefined;
  /** The function that makes requests; default `fetch`. */
  fetch?: typeof fetch | undefined;
  /** Told in a sentence what was worked around; default `console.warn`. */
  onWarning?: ((message: string) => void) | undefined;
};

export const DEFAULTS = { retries: 5, retryDelay: 500, maxRetryDelay: 60_000, stallTimeout: 30_000 } as const;
