import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { inParallel, run } from "./run.ts";
import { cacheFolder, hashOf, type Package, packages, repositoryFiles, root } from "./workspace.ts";

export type Packed = Package & { tarball: string };

let packing: Promise<Packed[]> | undefined;

/** Builds every package and packs it as `pnpm publish` would; unchanged packages keep their tarball. */
export function packAll(): Promise<Packed[]> {
  packing ??= pack();
  return packing;
}

async function pack(): Promise<Packed[]> {
  const built = await run("turbo", [
    "run",
    "build",
    "--filter=./packages/*",
    "--output-logs=errors-only",
    "--concurrency=2",
  ]);
  if (built.status !== 0) throw new Error(`the build failed\n${built.output}`);
  const folder = path.join(cacheFolder, "pack");
  mkdirSync(folder, { recursive: true });
  const packed = await inParallel(packages(), 2, (item) => packOne(item, folder));
  for (const file of readdirSync(folder)) {
    if (!packed.some(({ tarball }) => path.basename(tarball) === file))
      rmSync(path.join(folder, file), { recursive: true });
  }
  return packed;
}

async function packOne(item: Package, folder: string): Promise<Packed> {
  const sources = packages().map((other) => `${other.folder}/`);
  const inputs = repositoryFiles().filter(
    (file) => sources.some((source) => file.startsWith(source)) || /^(tsup|tsconfig|pnpm-lock)/.test(file),
  );
  const tarball = path.join(folder, `${item.name}-${hashOf(inputs).slice(0, 16)}.tgz`);
  if (existsSync(tarball)) return { ...item, tarball };
  const made = await run("pnpm", ["--dir", item.folder, "pack", "--out", `${tarball}.tmp`]);
  if (made.status !== 0) throw new Error(`pnpm pack of ${item.id} failed\n${made.output}`);
  renameSync(path.join(root, path.relative(root, `${tarball}.tmp`)), tarball);
  return { ...item, tarball };
}
