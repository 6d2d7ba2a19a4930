/** The table of packages in README.md, from their manifests: lower layers first. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { packages, root } from "../lib/workspace.ts";

const BEGIN = "<!-- packages: written by `npm run gen` -->";
const END = "<!-- /packages -->";

export function generate(): Record<string, string> {
  const text = readFileSync(path.join(root, "README.md"), "utf8");
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`README.md has lost its line ${BEGIN}`);
  const layer = (item: { manifest: { vlm?: { layer?: number } } }) => item.manifest.vlm?.layer ?? 0;
  const rows = packages()
    .sort((a, b) => layer(a) - layer(b) || (a.id < b.id ? -1 : 1))
    .map(({ id, folder, manifest }) => `| [${id}](${folder}/README.md) | ${manifest.description} |`);
  return {
    "README.md": `${before}${BEGIN}\n| package | what it is for |\n| --- | --- |\n${rows.join("\n")}\n${END}${after}`,
  };
}
