/** What a README snippet finds: hub ids served as tiny checkpoints, and files in its working folder. */
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { root } from "../lib/workspace.ts";

/** Hub ids that documentation may load, and the committed folders that stand in for them. */
export const hubRepositories: Record<string, string> = Object.fromEntries(
  Object.entries({
    "openai/clip-vit-base-patch32": "packages/clip/test/fixtures/clip-tiny",
  }).map(([id, folder]) => [id, path.join(root, folder)]),
);

const files: Record<string, string> = {};

/** Puts the files that documentation mentions (`cat.jpg`) into the folder in which a snippet runs. */
export function layOutFiles(folder: string): void {
  for (const [name, source] of Object.entries(files)) {
    const from = path.join(root, source);
    if (!existsSync(from)) continue;
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    copyFileSync(from, path.join(folder, name));
  }
}
