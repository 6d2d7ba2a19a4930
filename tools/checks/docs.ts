import { type Check, failed, passed } from "../lib/check.ts";
import { fromSource, run } from "../lib/run.ts";

/** The site builds: every export has words, every link leads somewhere. */
export const check: Check = {
  name: "docs",
  stage: "late",
  inputs: (file) =>
    /^(docs\/|tools\/docs|typedoc\.json$|[A-Z]+\.md$)/.test(file) ||
    /^packages\/[^/]+\/(src\/|README\.md$|package\.json$)/.test(file),
  async run() {
    const { status, output } = await run(process.execPath, [...fromSource, "tools/docs.ts"]);
    return [status === 0 ? passed("docs") : failed("docs", output)];
  },
};
