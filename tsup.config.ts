import { readFileSync } from "node:fs";
import path from "node:path";
import { defineConfig } from "tsup";

type Manifest = { exports: Record<string, string | { "@vlm/source": string; default: string }> };

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;

/** dist name -> source file, read from the package's own exports: `./dist/worker.js` from `./src/worker.js`. */
const entry = Object.fromEntries(
  Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string"
      ? []
      : [[path.relative("dist", target.default).replace(/\.js$/, ""), target["@vlm/source"]]],
  ),
);
const typed = Object.fromEntries(Object.entries(entry).filter(([, source]) => source.endsWith(".ts")));

/** One build for every package: run from the package's folder. */
export default defineConfig({
  entry,
  format: ["esm"],
  // tsup 8 injects baseUrl into the d.ts program, which TypeScript 6 rejects (TS5101) unless silenced here.
  dts: { entry: typed, compilerOptions: { ignoreDeprecations: "6.0" } },
  sourcemap: true,
  clean: true,
  target: "es2022",
});
