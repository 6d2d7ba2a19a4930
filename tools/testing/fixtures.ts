/** What a README snippet finds: hub ids served as tiny checkpoints, and pictures under the names it mentions. */
import { copyFileSync, mkdirSync } from "node:fs";
import path from "node:path";
import { root } from "../lib/workspace.ts";

/** Hub ids that documentation loads, and the folders whose files together stand in for them. */
const repositories: Record<string, string[]> = {
  "openai/clip-vit-base-patch32": ["tools/testing/hub/clip", "packages/clip/test/fixtures/hf-clip"],
};

export const hubRepositories: Record<string, string[]> = Object.fromEntries(
  Object.entries(repositories).map(([id, folders]) => [id, folders.map((folder) => path.join(root, folder))]),
);

/** Puts a picture wherever the code names one: `"cat.jpg"`, `"photos/a.jpg"`. */
export function layOutPictures(code: string, folder: string): void {
  for (const [, name] of code.matchAll(/"((?:[\w-]+\/)*[\w-]+\.jpe?g)"/g)) {
    const target = path.join(folder, name as string);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(root, "tools/testing/pictures/cat.jpg"), target);
  }
}
