/**
 * npm test [-- NAMES] [--force]: every test and every check; NAMES are packages or checks (`npm test -- vit types`).
 *
 * What passed is remembered by a hash of everything it depends on, so a second run repeats only what a change can have
 * broken. The last line is `N passed, N failed`.
 */
import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs, stripVTControlCharacters } from "node:util";
import type { Check, Outcome } from "./lib/check.ts";
import { recall, remember } from "./lib/memory.ts";
import { inParallel } from "./lib/run.ts";
import { runTests } from "./lib/tests.ts";
import { hashOf, repositoryFiles, root, testProjects } from "./lib/workspace.ts";
import { sentenceFor } from "./setup/problem.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { force: { type: "boolean" }, full: { type: "boolean" } },
});
const force = values.force === true || process.env.CI === "true";
if (values.full) process.env.VLM_TEST = "full";

// A disk that fills up in the middle deserves the same sentence as one that was full from the start.
process.on("uncaughtException", (error: NodeJS.ErrnoException) => {
  console.error(sentenceFor(`${error.code} ${error.message}`) ?? error);
  process.exit(1);
});

const started = Date.now();
const checkFolder = path.join(root, "tools", "checks");
const checkNames = readdirSync(checkFolder).map((file) => path.basename(file, ".ts"));
const names = [...testProjects().map((folder) => path.basename(folder)), ...checkNames];
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no package or check is named ${unknown.join(", ")}; there are ${names.join(", ")}`);
  process.exit(1);
}
const wanted = (name: string) => positionals.length === 0 || positionals.includes(name);
const checks = await Promise.all(checkNames.filter(wanted).map(loadCheck));
const total = { passed: 0, failed: 0, skipped: 0 };

await runChecks("early");
const tested = await runTests(
  testProjects().filter((folder) => wanted(path.basename(folder))),
  force,
);
total.passed += tested.passed;
total.failed += tested.failed;
total.skipped += tested.skipped;
await runChecks("late");

const allowed = process.env.VLM_ALLOW_SKIP;
if (allowed) console.log(`\nSkipped because of VLM_ALLOW_SKIP=${allowed}: ${total.skipped} tests did not run.`);
else if (total.skipped > 0) {
  total.failed += 1;
  console.log(`\nFAILED  ${total.skipped} tests were skipped, which only VLM_ALLOW_SKIP=webgpu,browser may ask for.`);
}
if (total.passed + total.failed === 0) {
  total.failed = 1;
  console.log("\nFAILED  no test ran.");
}
console.log(`\n${positionals.length === 0 ? "Everything" : positionals.join(", ")} took ${seconds(started)}.`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exit(total.failed > 0 ? 1 : 0);

/** A check is called like its file. */
async function loadCheck(name: string): Promise<Check> {
  const module = (await import(pathToFileURL(path.join(checkFolder, `${name}.ts`)).href)) as { check: Check };
  return module.check;
}

async function runChecks(stage: Check["stage"]): Promise<void> {
  const due = checks.filter((check) => check.stage === stage);
  await inParallel(due, 2, async (check) => {
    const inputs = repositoryFiles().filter((file) => check.inputs(file) || isShared(file));
    const key = hashOf(inputs, process.version);
    const known = force ? undefined : recall("checks", check.name, key);
    if (known !== undefined) {
      total.passed += known;
      console.log(`ok      ${check.name} (${known}, unchanged)`);
      return;
    }
    const begun = Date.now();
    const outcomes = await check
      .run()
      .catch((error: Error): Outcome[] => [{ name: check.name, ok: false, detail: error.stack ?? String(error) }]);
    report(check.name, outcomes, begun);
    if (outcomes.every((outcome) => outcome.ok)) remember("checks", check.name, key, outcomes.length);
  });
}

function report(name: string, outcomes: Outcome[], begun: number): void {
  const broken = outcomes.filter((outcome) => !outcome.ok);
  total.passed += outcomes.length - broken.length;
  total.failed += broken.length;
  const count = `${outcomes.length - broken.length}${broken.length > 0 ? ` of ${outcomes.length}` : ""}`;
  console.log(`${broken.length > 0 ? "FAILED " : "ok     "} ${name} (${count}, ${seconds(begun)})`);
  for (const outcome of broken) {
    console.log(`  ${outcome.name}${outcome.detail ? `:\n${indent(outcome.detail)}` : ""}`);
  }
}

/** What may change any result: the tools themselves, the versions of the dependencies, the compiler's settings. */
function isShared(file: string): boolean {
  return /^(tools\/(checks|lib|testing)\/|pnpm-lock\.yaml$|package\.json$|tsconfig|tools\/test\.ts$)/.test(file);
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

function indent(text: string): string {
  const lines = stripVTControlCharacters(text).trimEnd().split("\n");
  const shown =
    lines.length > 80 ? [...lines.slice(0, 20), `... ${lines.length - 60} lines ...`, ...lines.slice(-40)] : lines;
  return shown.map((line) => `    ${line}`).join("\n");
}
