/** Our packages as applications get them: bundled. A loader that compiles sources while it runs them also slows them down. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Bundles what `code` exports and imports it, from a folder that finds optional peers. */
export async function bundled<Module>(name: string, code: string): Promise<Module> {
  const folder = fileURLToPath(new URL("../..", import.meta.url));
  const outfile = `${folder}/node_modules/.bench/${name}.mjs`;
  await build({
    stdin: { contents: code, resolveDir: folder },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    conditions: ["@vlm/source"],
    logLevel: "error",
  });
  return (await import(`file://${outfile}`)) as Module;
}
