import { readFileSync } from "node:fs";
import path from "node:path";
import { repositoryFiles, root } from "./workspace.ts";

export type Snippet = {
  /** `packages/vit/README.md:12`, where the block begins. */
  where: string;
  code: string;
  /** False for ```ts no-run: it is only type-checked. */
  run: boolean;
  /** A file name that tells the same. */
  file: string;
};

/** Documents whose ```ts blocks are promises to the reader. */
export function documents(): string[] {
  return repositoryFiles().filter(
    (file) => /^README\.md$/.test(file) || /^packages\/[^/]+\/README\.md$/.test(file) || /^docs\/.*\.md$/.test(file),
  );
}

/** The ```ts blocks of a document. */
export function snippetsOf(document: string): Snippet[] {
  const lines = readFileSync(path.join(root, document), "utf8").split("\n");
  const snippets: Snippet[] = [];
  for (let i = 0; i < lines.length; i++) {
    const fence = /^( *)```ts( no-run)?\s*$/.exec(lines[i] as string);
    if (!fence) continue;
    const start = i + 1;
    while (i + 1 < lines.length && !/^ *```\s*$/.test(lines[i + 1] as string)) i++;
    const indent = fence[1]?.length ?? 0;
    const code = lines.slice(start, i + 1).map((line) => line.slice(indent));
    const file = `${document.replace(/[/.]/g, "-")}-${start}.ts`;
    snippets.push({ where: `${document}:${start}`, code: inPlace(code.join("\n")), run: !fence[2], file });
  }
  return snippets;
}

/** A block that begins with `// packages/NAME/src/file.ts` imports what that file could: its relative imports work. */
function inPlace(code: string): string {
  const place = /^\/\/ (packages\/\S+\/)[^/]+\.ts\n/.exec(code)?.[1];
  if (!place) return code;
  return code.replace(/ from "(\.[^"]+)"/g, (_, to: string) => ` from ${JSON.stringify(path.join(root, place, to))}`);
}
