import { type Check, failed, passed } from "../lib/check.ts";
import { run } from "../lib/run.ts";

/** Knip: files, exports and dependencies that nothing uses, and imports that no manifest names. */
export const check: Check = {
  name: "unused",
  stage: "early",
  inputs: (file) => /\.(ts|mts|mjs|js|json)$/.test(file),
  async run() {
    const { status, output } = await run("knip", ["--no-progress", "--no-config-hints"]);
    return [status === 0 ? passed("unused") : failed("unused", output)];
  },
};
