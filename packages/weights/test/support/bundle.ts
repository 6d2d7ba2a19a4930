import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { temporaryFolder } from "./temporary.ts";

/** The path of one plain file that does what a program in this folder does, for processes of their own. */
export async function bundled(program: string): Promise<string> {
  const outfile = path.join(await temporaryFolder(), "program.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL(program, import.meta.url))],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    conditions: ["@vlm/source"],
    external: ["../backends/*"],
  });
  return outfile;
}
