import { readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { type Check, failed, isPackageSource, type Outcome, passed } from "../lib/check.ts";
import { inParallel } from "../lib/run.ts";
import { dependencyNames, type Package, packages, root } from "../lib/workspace.ts";

/** A package's own code, as a bundler would ship it, minified and gzipped, stays within the budget it names. */
export const check: Check = {
  name: "size",
  stage: "early",
  inputs: isPackageSource,
  run: () => inParallel(packages(), 2, (item) => measure(item).catch((error: Error) => failed(item.id, error.message))),
};

async function measure(item: Package): Promise<Outcome> {
  const budget = item.manifest.vlm?.budget;
  if (!budget) return failed(item.id, "its package.json names no size budget");
  const kB = await bundledSize(item, budget.import);
  const text = `${item.id} ${budget.import}: ${kB.toFixed(1)} kB of ${budget.kB} kB gzip`;
  return kB <= budget.kB
    ? passed(text)
    : failed(text, "make it smaller, or raise the budget and say why in the commit");
}

/**
 * Kilobytes (1000 bytes) of `import ... from` a package, code that is loaded later by `import()` and files that it
 * refers to by `new URL(..., import.meta.url)` included; other packages are not counted.
 */
async function bundledSize(item: Package, names: string): Promise<number> {
  const index = path.join(root, item.folder, "src/index.ts");
  const from = JSON.stringify(index);
  const contents = names === "*" ? `export * from ${from};` : `export ${names} from ${from};`;
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    minify: true,
    metafile: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "unused",
    external: [...dependencyNames(item.manifest), "node:*"],
    logLevel: "silent",
  });
  const bytes = outputFiles.map((file) => gzipSync(file.contents, { level: 9 }).length);
  const referred = Object.keys(metafile.inputs)
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(path.join(root, file), "utf8");
      const urls = text.matchAll(/new URL\("(\.[^"]+)", import\.meta\.url\)/g);
      return [...urls].map(([, url]) => path.join(root, path.dirname(file), url as string));
    });
  for (const file of new Set(referred)) bytes.push(gzipSync(readFileSync(file), { level: 9 }).length);
  return bytes.reduce((a, b) => a + b, 0) / 1000;
}
