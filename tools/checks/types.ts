import path from "node:path";
import { type Check, failed, passed } from "../lib/check.ts";
import { run } from "../lib/run.ts";
import { cacheFolder } from "../lib/workspace.ts";

/** The whole repository is one program for the compiler; unchanged files are not looked at again. */
export const check: Check = {
  name: "types",
  stage: "early",
  inputs: (file) => /\.(ts|mts|json)$/.test(file),
  async run() {
    const { status, output } = await run("tsc", [
      "-p",
      "tsconfig.json",
      "--incremental",
      "--tsBuildInfoFile",
      path.join(cacheFolder, "types.tsbuildinfo"),
    ]);
    return [status === 0 ? passed("types") : failed("types", output)];
  },
};
