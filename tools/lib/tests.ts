import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { recall, remember } from "./memory.ts";
import { run } from "./run.ts";
import { cacheFolder, dependenciesOf, hashOf, type Manifest, packages, repositoryFiles, root } from "./workspace.ts";

export type Counts = { passed: number; failed: number; skipped: number };

type Report = {
  success: boolean;
  testResults: { name: string; status: string; message: string; assertionResults: { status: string }[] }[];
};

/** Runs the projects whose inputs changed since they last passed, in one Vitest process. */
export async function runTests(folders: string[], force: boolean): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const due: { folder: string; key: string }[] = [];
  for (const folder of folders) {
    const key = keyOf(folder);
    const known = force ? undefined : recall("tests", path.basename(folder), key);
    if (known === undefined) due.push({ folder, key });
    else {
      counts.passed += known;
      console.log(`ok      tests of ${path.basename(folder)} (${known}, unchanged)`);
    }
  }
  if (due.length === 0) return counts;

  const file = path.join(cacheFolder, "vitest.json");
  rmSync(file, { force: true });
  const projects = due.flatMap(({ folder }) => ["--project", path.basename(folder)]);
  const { status } = await run(
    "vitest",
    ["run", ...projects, "--silent=passed-only", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`],
    { show: true },
  );
  if (!existsSync(file)) return { ...counts, failed: counts.failed + 1 };
  const report = JSON.parse(readFileSync(file, "utf8")) as Report;
  const failedBefore = counts.failed;
  for (const { folder, key } of due) {
    const own = countsOf(report, folder);
    counts.passed += own.passed;
    counts.failed += own.failed;
    counts.skipped += own.skipped;
    if (status === 0 && own.failed === 0 && own.skipped === 0)
      remember("tests", path.basename(folder), key, own.passed);
  }
  // An error outside of any test (a worker that died, an unhandled rejection) fails the run too.
  if (status !== 0 && counts.failed === failedBefore) counts.failed += 1;
  return counts;
}

function countsOf(report: Report, folder: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const prefix = `${path.join(root, folder)}${path.sep}`;
  for (const file of report.testResults.filter(({ name }) => path.resolve(name).startsWith(prefix))) {
    // A file that could not be loaded has no tests of its own to count.
    if (file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed"))
      counts.failed += 1;
    for (const { status } of file.assertionResults) {
      if (status === "passed") counts.passed += 1;
      else if (status === "failed") counts.failed += 1;
      else counts.skipped += 1;
    }
  }
  return counts;
}

/** Hash of all that a project's tests can see: its folder, the sources it depends on, the tools, the environment. */
function keyOf(folder: string): string {
  const manifestFile = path.join(root, folder, "package.json");
  // The tools judge packages but import none of them; a folder without a manifest may import any.
  const unlisted = folder === "tools" ? [] : packages();
  const needed = existsSync(manifestFile)
    ? dependenciesOf(JSON.parse(readFileSync(manifestFile, "utf8")) as Manifest)
    : unlisted;
  const sources = needed.map((dependency) => `${dependency.folder}/src/`);
  const inputs = repositoryFiles().filter(
    (file) =>
      (file.startsWith(`${folder}/`) && !file.endsWith(".md")) ||
      sources.some((source) => file.startsWith(source) && !file.endsWith(".test.ts")) ||
      /^(tools\/testing\/|pnpm-lock\.yaml$|tsconfig\.base\.json$|vitest\.)/.test(file),
  );
  const environment = Object.entries(process.env).filter(([name]) => /^(VLM_|VK_|HF_)/.test(name));
  return hashOf(inputs, JSON.stringify([process.version, environment.sort()]));
}
