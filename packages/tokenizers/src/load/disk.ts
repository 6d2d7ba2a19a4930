import { quote, TokenizerError } from "../errors.ts";
import type { TokenizerFiles } from "./files.ts";

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

/** Writes files into a folder, each under a temporary name first, so that a crash leaves the old ones whole (Node). */
export async function saveTokenizer(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  const node = "node:";
  try {
    const fs = (await import(/* @vite-ignore */ `${node}fs/promises`)) as typeof import("node:fs/promises");
    const path = (await import(/* @vite-ignore */ `${node}path`)) as typeof import("node:path");
    await fs.mkdir(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      const target = path.join(folder, name);
      const temporary = `${target}.${Math.random().toString(36).slice(2)}.tmp`;
      try {
        await fs.writeFile(temporary, text);
        await fs.rename(temporary, target);
      } catch (cause) {
        await fs.rm(temporary, { force: true });
        throw cause;
      }
    }
  } catch (cause) {
    throw new TokenizerError("StorageError", "TK_SAVE", {
      what: `cannot save the tokenizer into ${quote(folder)}`,
      hint: "in a browser use JSON.stringify(tokenizer.toJSON()) and store that",
      cause,
    });
  }
}
