/** What the workspace holds. Everything is found by looking, so a new package needs no entry anywhere. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");
export const cacheFolder: string = path.join(root, ".cache");

export type Manifest = {
  name: string;
  version: string;
  private?: boolean;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  devDependencies?: Record<string, string>;
  exports?: Record<string, string | Record<string, string>>;
  vlm?: { layer?: number; budget?: { import: string; kB: number } };
  [field: string]: unknown;
};

export type Package = {
  /** The name of its folder, `vit`. */
  name: string;
  /** The name on the registry, `@vlm/vit`. */
  id: string;
  /** Relative to the root, with forward slashes: `packages/vit`. */
  folder: string;
  manifest: Manifest;
};

/** All publishable packages, in alphabetical order. */
export function packages(): Package[] {
  return foldersWith("packages", "package.json").map((folder) => {
    const manifest = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8")) as Manifest;
    return { name: path.basename(folder), id: manifest.name, folder, manifest };
  });
}

/** Folders whose vitest.config.ts makes them a project of the tests. */
export function testProjects(): string[] {
  const single = ["examples", "benchmarks", "docs", "tools"].filter((folder) =>
    existsSync(path.join(root, folder, "vitest.config.ts")),
  );
  return [...foldersWith("packages", "vitest.config.ts"), ...foldersWith("examples", "vitest.config.ts"), ...single];
}

function foldersWith(group: string, file: string): string[] {
  if (!existsSync(path.join(root, group))) return [];
  return readdirSync(path.join(root, group))
    .sort()
    .map((name) => `${group}/${name}`)
    .filter((folder) => existsSync(path.join(root, folder, file)));
}

/** The workspace's packages that a manifest names, with those that they name, and so on. */
export function dependenciesOf(manifest: Manifest, all: Package[] = packages()): Package[] {
  const found = new Map<string, Package>();
  const visit = (from: Manifest) => {
    for (const id of dependencyNames(from)) {
      const to = all.find((other) => other.id === id);
      if (!to || found.has(id)) continue;
      found.set(id, to);
      visit(to.manifest);
    }
  };
  visit(manifest);
  return [...found.values()];
}

export function dependencyNames(manifest: Manifest): string[] {
  const { dependencies, peerDependencies, devDependencies } = manifest;
  return Object.keys({ ...dependencies, ...peerDependencies, ...devDependencies });
}

let files: string[] | undefined;

/** Every file that git tracks or would track, relative to the root; a walk where there is no git. */
export function repositoryFiles(): string[] {
  if (files) return files;
  try {
    const listed = execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 64 * 2 ** 20,
      stdio: ["ignore", "pipe", "ignore"],
    });
    files = [...new Set(listed.split("\0"))].filter((file) => file && existsSync(path.join(root, file))).sort();
  } catch {
    files = walk("").sort();
  }
  return files;
}

const IGNORED = new Set(["node_modules", "dist", ".git", ".turbo", ".cache", "runs", "__pycache__"]);

function walk(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder ? `${folder}/${entry.name}` : entry.name;
    if (IGNORED.has(entry.name)) return [];
    return entry.isDirectory() ? walk(name) : [name];
  });
}

const hashes = new Map<string, string>();

/** One hash over the names and contents of files. */
export function hashOf(names: string[], extra = ""): string {
  const hash = createHash("sha256").update(extra);
  for (const name of names) {
    let own = hashes.get(name);
    if (own === undefined) {
      const file = path.join(root, name);
      own =
        existsSync(file) && statSync(file).isFile()
          ? createHash("sha256").update(readFileSync(file)).digest("hex")
          : "";
      hashes.set(name, own);
    }
    hash.update(`${name}\0${own}\0`);
  }
  return hash.digest("hex");
}
