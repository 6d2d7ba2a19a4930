import { TokenizerError } from "../errors.ts";

/** Where files come from: a folder, a URL, or anything that can be asked for a file by name. */
export type TokenizerFiles = {
  /** The file's contents, or undefined where there is none of that name. */
  read(name: string): Promise<Uint8Array | string | undefined>;
  /** For messages. */
  readonly where: string;
};

/** Files in memory. */
export function recordFiles(files: Readonly<Record<string, Uint8Array | string>>): TokenizerFiles {
  return { where: "the given files", read: async (name) => (Object.hasOwn(files, name) ? files[name] : undefined) };
}

export type UrlOptions = { signal?: AbortSignal | undefined; headers?: Readonly<Record<string, string>> | undefined };

/** Files below a URL, or one file. */
export function urlFiles(url: string, options: UrlOptions): { files: TokenizerFiles; only: string | undefined } {
  const parsed = new URL(url);
  const last = parsed.pathname.split("/").at(-1) ?? "";
  const only = /\.(json|txt|model|tiktoken|gz|spm)$/.test(last) ? last : undefined;
  const base = only ? new URL(".", parsed) : new URL(parsed.pathname.endsWith("/") ? parsed.href : `${parsed.href}/`);
  // A query may hold a token: it goes to the server and never into a message.
  const shown = `${base.origin}${base.pathname}`;
  const files: TokenizerFiles = {
    where: shown,
    read: async (name) => {
      const target = new URL(name, base);
      target.search = parsed.search;
      let response: Response;
      try {
        response = await fetch(target, { signal: options.signal ?? null, headers: { ...options.headers } });
      } catch (cause) {
        if (options.signal?.aborted) throw cause;
        throw new TokenizerError("NetworkError", "TK_FETCH", {
          what: `cannot fetch ${shown}${name}`,
          hint: "check the connection; in a browser also that the server allows cross-origin requests",
          recoverable: true,
          cause,
        });
      }
      if (response.status === 404) return undefined;
      if (!response.ok) {
        throw new TokenizerError("NetworkError", "TK_FETCH", {
          what: `the server answered ${response.status} for ${shown}${name}`,
          hint:
            response.status === 401 || response.status === 403
              ? "the model may be gated: accept its licence and pass an authorization header"
              : undefined,
          recoverable: response.status >= 500 || response.status === 429,
          details: { status: response.status },
        });
      }
      if (/text\/html/.test(response.headers.get("content-type") ?? "")) {
        throw new TokenizerError("TokenizerFormatError", "TK_HTML", {
          what: `${shown}${name} is a web page, not a tokenizer file`,
          hint: "log in to the network, or correct the URL (…/resolve/main/, not …/blob/main/)",
        });
      }
      return new Uint8Array(await response.arrayBuffer());
    },
  };
  return { files, only };
}
