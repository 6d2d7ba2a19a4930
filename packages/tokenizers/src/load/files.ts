import { quote, TokenizerError } from "../errors.ts";

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

/** A folder, or one file, on disk (Node). */
export async function diskFiles(path: string): Promise<{ files: TokenizerFiles; only: string | undefined }> {
  // A computed name keeps bundlers from looking for a browser version of these modules.
  const node = "node:";
  let fs: typeof import("node:fs/promises");
  let nodePath: typeof import("node:path");
  try {
    fs = (await import(/* @vite-ignore */ `${node}fs/promises`)) as typeof import("node:fs/promises");
    nodePath = (await import(/* @vite-ignore */ `${node}path`)) as typeof import("node:path");
  } catch (cause) {
    throw new TokenizerError("ArgumentError", "TK_SOURCE", {
      what: `${quote(path)} is a path, and there is no file system here`,
      hint: "pass a URL, or the files themselves",
      cause,
    });
  }
  const stat = await fs.stat(path).catch(() => undefined);
  if (!stat) {
    throw new TokenizerError("StorageError", "TK_NOT_FOUND", {
      what: `there is no file or folder ${quote(path)}`,
      hint: `for a model of the hub pass its URL, such as https://huggingface.co/OWNER/NAME/resolve/main/`,
    });
  }
  const folder = stat.isDirectory() ? path : nodePath.dirname(path);
  const files: TokenizerFiles = {
    where: folder,
    read: async (name) => {
      try {
        return await fs.readFile(nodePath.join(folder, name));
      } catch (cause) {
        if ((cause as { code?: string }).code === "ENOENT") return undefined;
        throw new TokenizerError("StorageError", "TK_READ", {
          what: `cannot read ${quote(name)} in ${quote(folder)}`,
          cause,
        });
      }
    },
  };
  return { files, only: stat.isDirectory() ? undefined : nodePath.basename(path) };
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
