/**
 * pnpm gen [--check]: writes every generated file of the repository, or tells which ones differ.
 *
 * Each module of tools/gen exports `generate()`, which returns files: path from the root to text. The folder is read, so
 * a new generator is a new file and nothing else.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./lib/workspace.ts";

type Generator = { generate(): Promise<Record<string, string>> | Record<string, string> };

const checkOnly = process.argv.includes("--check");
const folder = path.join(root, "tools", "gen");
const different: string[] = [];

for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
  if (!name.endsWith(".ts")) continue;
  const generator = (await import(pathToFileURL(path.join(folder, name)).href)) as Generator;
  for (const [file, text] of Object.entries(await generator.generate())) {
    const target = path.join(root, file);
    const wanted = formatted(file, text);
    if (existsSync(target) && readFileSync(target, "utf8") === wanted) continue;
    different.push(`${file} (tools/gen/${name})`);
    if (checkOnly) continue;
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, wanted);
  }
}

if (checkOnly && different.length > 0) {
  console.error(`these generated files differ from what \`pnpm gen\` writes:\n${different.join("\n")}`);
  process.exit(1);
}
for (const file of different) console.log(`wrote ${file}`);

/** As Biome would write it, so that a generator need not care about line breaks. */
function formatted(file: string, text: string): string {
  if (!/\.(ts|js|json)$/.test(file) || file.endsWith(".generated.ts")) return text;
  const biome = path.join(root, "node_modules", ".bin", "biome");
  return execFileSync(biome, ["format", `--stdin-file-path=${file}`], { cwd: root, input: text, encoding: "utf8" });
}
