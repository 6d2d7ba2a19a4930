import { type Check, failed, passed } from "../lib/check.ts";
import { fromSource, run } from "../lib/run.ts";

/** `pnpm gen` would change nothing. */
export const check: Check = {
  name: "generated",
  stage: "early",
  inputs: (file) => /^tools\/gen/.test(file) || /^packages\/[^/]+\/(src|package\.json)/.test(file),
  async run() {
    const { status, output } = await run(process.execPath, [...fromSource, "tools/gen.ts", "--check"]);
    return [status === 0 ? passed("generated") : failed("generated", output)];
  },
};
