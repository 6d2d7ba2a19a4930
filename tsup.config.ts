import { defineConfig } from "tsup";

/** One build for every package: run from the package's folder. */
export default defineConfig({
  entry: ["src/index.ts"],
  format: ["esm"],
  // tsup 8 injects baseUrl into the d.ts program, which TypeScript 6 rejects (TS5101) unless silenced here.
  dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
  sourcemap: true,
  clean: true,
  target: "es2022",
});
