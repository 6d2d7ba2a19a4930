/** `pnpm bench [suite ...]`: measures, and writes JSON, Markdown and SVG into results/DATE. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writePage } from "./src/report/page.ts";
import type { Findings, Report, RunOptions } from "./src/report/report.ts";
import { writeReport } from "./src/report/write.ts";
import { describeMachine } from "./src/run/machine.ts";
import { suites } from "./src/suites/index.ts";

const cores = os.availableParallelism();
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: cores > 1 ? `1,${cores}` : "1" },
    rounds: { type: "string", default: "5" },
    window: { type: "string", default: "150" },
    limit: { type: "string", default: "30" },
    filter: { type: "string", default: "" },
    without: { type: "string", default: "" },
    out: { type: "string" },
    resume: { type: "boolean", default: false },
    page: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const unknown = positionals.filter((name) => !(name in suites));
if (values.help || unknown.length > 0) {
  if (unknown.length > 0) console.error(`no suite is called ${unknown.join(" or ")}\n`);
  const list = Object.entries(suites).map(([name, { about }]) => `  ${name.padEnd(12)}${about}`);
  console.log(`pnpm bench [suite ...] [options]

Suites; without names all but gpu run, in about twenty minutes on two quiet cores:
${list.join("\n")}

Options:
  --threads 1,${cores}        numbers of threads, each measured
  --rounds 5           alternating windows of each contender
  --window 150         milliseconds of a window
  --limit 30           seconds that a call may take, twice that to the first result; who takes longer has failed
  --filter REGEXP      cases whose name matches
  --without NAME,...   contenders to leave out, by the beginnings of their names
  --out FOLDER         where results go; default benchmarks/results/DATE
  --resume             leave out suites that the folder has complete results of
  --page               only write docs/benchmarks from the newest results (or from --out)

Environment: VLM_BENCH_PYTHON (a Python with torch, numpy and safetensors: PyTorch takes part), VLM_BENCH_NODE (a second
Node: ours and jax-js also run there), VLM_BENCH_MACHINE (a description), VLM_GPU=hardware (the machine's own GPU, for
gpu and browser), VLM_BROWSER (path of a Chromium). Close other programs first: the load average is written down.`);
  process.exit(values.help ? 0 : 1);
}

const results = fileURLToPath(new URL("results", import.meta.url));
if (values.page) {
  const newest = readdirSync(results)
    .filter((name) => /^\d/.test(name))
    .sort()
    .at(-1);
  if (!newest && !values.out) throw new Error("there are no results yet: run pnpm bench first");
  writePage(values.out ?? path.join(results, newest!), fileURLToPath(new URL("../docs/benchmarks", import.meta.url)));
  process.exit(0);
}

const machine = await describeMachine();
const folder = values.out ?? path.join(results, machine.date);
mkdirSync(folder, { recursive: true });
const options: Omit<RunOptions, "keep"> = {
  threads: values.threads.split(",").map(Number),
  pace: { rounds: Number(values.rounds), window: Number(values.window) },
  limitMs: Number(values.limit) * 1000,
  otherNode: process.env.VLM_BENCH_NODE ?? null,
  python: process.env.VLM_BENCH_PYTHON ?? null,
  filter: values.filter,
  without: values.without.split(",").filter(Boolean),
  log: (text) => console.log(text),
};

/** Whether an earlier run has finished the suite. */
function isDone(name: string): boolean {
  const file = path.join(folder, `${name}.json`);
  return existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as Report).complete;
}

const chosen = positionals.length > 0 ? positionals : Object.keys(suites).filter((name) => name !== "gpu");
for (const name of chosen) {
  if (values.resume && isDone(name)) continue;
  const start = performance.now();
  let found: Findings = {};
  const write = (more: { complete: boolean; error?: string }): void =>
    writeReport(folder, { suite: name, machine, seconds: (performance.now() - start) / 1000, ...more, ...found });
  const keep = (findings: Findings): void => {
    found = findings;
    write({ complete: false });
  };
  try {
    found = await suites[name]!.run({ ...options, keep });
    write({ complete: true });
  } catch (error) {
    // The other suites are worth having all the same.
    write({ complete: false, error: (error as Error).message.split("\n")[0]! });
    console.error(error);
    process.exitCode = 1;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${name}: ${seconds} s, ${path.relative(process.cwd(), folder)}/${name}.md`);
}
// Runtimes in this process may keep it alive.
process.exit();
