import { type Check, failed, passed } from "../lib/check.ts";
import { run } from "../lib/run.ts";

export const check: Check = {
  name: "lint",
  stage: "early",
  inputs: (file) => /\.(ts|mts|mjs|js|json|css|html)$/.test(file),
  async run() {
    const args = ["ci", ".", "--colors=off", "--max-diagnostics=50", "--error-on-warnings"];
    const { status, output } = await run("biome", args);
    return [status === 0 ? passed("lint") : failed("lint", output)];
  },
};
