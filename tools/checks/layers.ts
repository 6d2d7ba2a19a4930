import { readFileSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import ts from "typescript";
import { type Check, failed, type Outcome, passed } from "../lib/check.ts";
import { dependencyNames, type Package, packages, repositoryFiles, root } from "../lib/workspace.ts";

/**
 * Imports go strictly down: a package uses only packages of a lower layer (`"vlm": { "layer": n }` of its
 * package.json), and inside a package no module imports itself by way of others.
 */
export const check: Check = {
  name: "layers",
  stage: "early",
  inputs: (file) => /^packages\/.*\.(ts|json)$/.test(file),
  async run() {
    const all = packages();
    const cycles = await Promise.all(
      all.map((item) =>
        circularImports(item).catch((error: Error) => failed(`circular imports of ${item.id}`, error.message)),
      ),
    );
    return [...all.map((from) => imports(from, all)), ...cycles];
  },
};

function imports(from: Package, all: Package[]): Outcome {
  const layer = from.manifest.vlm?.layer;
  if (layer === undefined) return failed(from.id, 'its package.json names no layer: "vlm": { "layer": n }');
  const uses = new Map<string, string>();
  for (const id of dependencyNames(from.manifest)) uses.set(id, "package.json");
  const problems: string[] = [];
  for (const file of repositoryFiles().filter((name) => name.startsWith(`${from.folder}/`) && name.endsWith(".ts"))) {
    for (const { fileName } of ts.preProcessFile(readFileSync(path.join(root, file), "utf8")).importedFiles) {
      if (fileName.startsWith("@")) uses.set(fileName.split("/").slice(0, 2).join("/"), file);
      const target = fileName.startsWith(".") ? path.posix.join(path.posix.dirname(file), fileName) : "";
      if (/^packages\//.test(target) && !target.startsWith(`${from.folder}/`)) {
        problems.push(`${file} imports ${target} by path: import the package by its name`);
      }
    }
  }
  for (const [id, where] of uses) {
    const to = all.find((other) => other.id === id);
    if (!to || to === from) continue;
    const below = to.manifest.vlm?.layer ?? Number.POSITIVE_INFINITY;
    if (below >= layer) {
      const direction = below === layer ? "sideways" : "upwards";
      problems.push(`${where} imports ${direction}: ${from.id} is in layer ${layer}, ${id} in layer ${below}`);
    }
  }
  return problems.length === 0 ? passed(`imports of ${from.id}`) : failed(`imports of ${from.id}`, problems.join("\n"));
}

/** Imports of types alone vanish when compiled and are no cycle; neither is what is imported later, on demand. */
async function circularImports(from: Package): Promise<Outcome> {
  const name = `circular imports of ${from.id}`;
  const { metafile } = await build({
    entryPoints: [path.join(root, from.folder, "src/index.ts")],
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    packages: "external",
    platform: "node",
    format: "esm",
    logLevel: "silent",
    outdir: "unused",
  });
  const graph = new Map(
    Object.entries(metafile.inputs).map(([file, input]) => [
      file,
      input.imports.filter((edge) => !edge.external && edge.kind === "import-statement").map((edge) => edge.path),
    ]),
  );
  const cycle = findCycle(graph);
  return cycle ? failed(name, cycle.join("\n  -> ")) : passed(name);
}

function findCycle(graph: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): string[] | undefined => {
    if (done.has(node)) return undefined;
    const start = path.indexOf(node);
    if (start >= 0) return [...path.slice(start), node];
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node);
    if (cycle) return cycle;
  }
  return undefined;
}
