import { quote, TokenizerError } from "../errors.ts";

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
