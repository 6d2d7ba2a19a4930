/** What a page downloads: code after a bundler, gzipped, and the WebAssembly files beside it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import type { Suite } from "../report/report.ts";

const here = fileURLToPath(new URL("../..", import.meta.url));

export type Size = { first: number; later: number };

/** Kilobytes (1000 bytes, gzip -9): what loads at once, and what `import()` and worker files add. */
export async function bundleSize(code: string): Promise<Size> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: here },
    absWorkingDir: here,
    bundle: true,
    splitting: true,
    minify: true,
    metafile: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "unused",
    conditions: ["@vlm/source"],
    external: ["node:*", "webgpu", "fs", "path", "crypto", "worker_threads", "perf_hooks", "os"],
    logLevel: "silent",
  });
  const zipped = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length / 1000;
  const byPath = new Map(outputFiles.map((file) => [path.relative(here, file.path), zipped(file.contents)]));
  const first = new Set<string>();
  const visit = (name: string): void => {
    if (first.has(name)) return;
    first.add(name);
    for (const { path: to, kind } of metafile.outputs[name]?.imports ?? []) if (kind === "import-statement") visit(to);
  };
  const entry = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === "<stdin>")?.[0];
  if (entry) visit(entry);
  const sizes = { first: 0, later: 0 };
  for (const [name, kB] of byPath) sizes[first.has(name) ? "first" : "later"] += kB;
  for (const file of Object.keys(metafile.inputs).filter((name) => name.endsWith(".ts"))) {
    const source = path.resolve(here, file);
    if (!existsSync(source)) continue;
    for (const [, url] of readFileSync(source, "utf8").matchAll(/new URL\("(\.[^"]+\.js)", import\.meta\.url\)/g)) {
      sizes.later += zipped(readFileSync(path.join(path.dirname(source), url!)));
    }
  }
  return sizes;
}

/** The smallest WebAssembly file of a package that a page would load. */
function wasmOf(name: string, pattern: RegExp): number {
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = path.dirname(entry);
  const files = readdirSync(folder).filter((file) => pattern.test(file));
  const sizes = files.map((file) => gzipSync(readFileSync(path.join(folder, file)), { level: 9 }).length / 1000);
  return Math.min(...sizes);
}

export const size: Suite = {
  about: "kilobytes that a page downloads",
  async run({ log }) {
    const entries: [string, string, number][] = [
      ["vlm: tensor, grad", 'export { tensor, grad } from "@vlm/core";', 0],
      ["vlm: everything in core", 'export * from "@vlm/core";', 0],
      ["vlm: a CLIP model", 'export { createCLIP, loadCLIPModel } from "@vlm/clip";', 0],
      [
        "onnxruntime-web, wasm only",
        'export * from "onnxruntime-web/wasm";',
        wasmOf("onnxruntime-web", /^ort-wasm-simd-threaded\.wasm$/),
      ],
      [
        "tfjs core and wasm",
        'export * from "@tensorflow/tfjs-core"; export * from "@tensorflow/tfjs-backend-wasm";',
        wasmOf("@tensorflow/tfjs-backend-wasm", /-simd\.wasm$/),
      ],
      ["jax-js", 'export * from "@jax-js/jax";', 0],
    ];
    const rows: (string | number | null)[][] = [];
    for (const [name, code, wasm] of entries) {
      try {
        const { first, later } = await bundleSize(code);
        rows.push([name, first, later, wasm, first + later + wasm]);
        log(`size, ${name}: ${(first + later + wasm).toFixed(1)} kB`);
      } catch (error) {
        rows.push([name, `failed: ${(error as Error).message.split("\n")[0]}`, null, null, null]);
      }
    }
    return {
      tables: [
        {
          title: "Kilobytes, gzip",
          note: "Minified by esbuild. “Later” is what `import()` and workers load when a device is opened.",
          columns: ["library", "at once", "later", "WebAssembly file", "all"],
          rows,
          bars: { value: 4, unit: "kB" },
        },
      ],
    };
  },
};
