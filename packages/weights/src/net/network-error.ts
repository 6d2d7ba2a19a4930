import { VlmError } from "@vlm/core";

/** An address for messages: without user, password and query, where secrets travel. */
export function publicUrl(url: string | URL): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "an invalid address";
  }
}

export type NetworkDetails = {
  hint?: string;
  details?: Record<string, unknown>;
  recoverable?: boolean;
  cause?: unknown;
};

/** A failure of the network or a server; `recoverable` when trying again may help. */
export function networkError(code: string, what: string, url: string | URL, more: NetworkDetails = {}): VlmError {
  return new VlmError("NetworkError", code, { what, where: publicUrl(url), ...more });
}

/** The error for a status that is no success. */
export function statusError(response: Response, url: string | URL): VlmError {
  const { status } = response;
  const reason = response.headers.get("x-error-code") ?? "";
  const details = { status, reason: reason || undefined };
  if (reason === "GatedRepo" || status === 403) {
    const hint = `accept the licence at ${publicUrl(url).split("/resolve/")[0]}, and set HF_TOKEN or pass \`token\``;
    return networkError(`HTTP_${status}`, "access to this file is restricted", url, { details, hint });
  }
  if (status === 401) {
    const hint = "check the name; for a private model set HF_TOKEN or pass `token`";
    return networkError("HTTP_401", "the file does not exist or needs a token", url, { details, hint });
  }
  if (status === 404) {
    return networkError("HTTP_404", "not found", url, {
      details,
      hint: "check the name, the revision and the file's path",
    });
  }
  const recoverable = isTransient(status);
  return networkError(`HTTP_${status}`, `the server answered ${status}`, url, { details, recoverable });
}

/** Statuses that a later attempt may not meet. */
export const isTransient = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || status >= 500;

/** The failure of `fetch` itself: browsers and Node hide most of the reason. */
export function connectionError(cause: unknown, url: string | URL): VlmError {
  const inner = (cause as { cause?: { code?: unknown } } | null)?.cause?.code;
  const reason = typeof inner === "string" ? ` (${inner})` : "";
  return networkError("CONNECTION", `the connection failed${reason}`, url, {
    hint: "check the network; in a browser, the server must also allow this page by CORS headers",
    details: { reason: typeof inner === "string" ? inner : undefined },
    recoverable: true,
    cause,
  });
}
