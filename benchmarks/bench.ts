/** `pnpm bench [suite ...]`: measures, and writes JSON, Markdown and SVG into results/DATE. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { curveChart, ratioChart } from "./src/report/chart.ts";
import { markdownOf } from "./src/report/markdown.ts";
import { writePage } from "./src/report/page.ts";
import type { Findings, Report, RunOptions, Suite } from "./src/report/report.ts";
import { describeMachine } from "./src/run/machine.ts";
import { curves } from "./src/suites/curves.ts";
import { gpu } from "./src/suites/gpu.ts";
import { host } from "./src/suites/host.ts";
import { kernels } from "./src/suites/kernels.ts";
import { loading } from "./src/suites/loading.ts";
import { memory } from "./src/suites/memory.ts";
import { models } from "./src/suites/models.ts";
import { size } from "./src/suites/size.ts";
import { startup } from "./src/suites/startup.ts";

const suites: Record<string, Suite> = { kernels, models, curves, host, loading, startup, memory, size, gpu };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "5" },
    window: { type: "string", default: "300" },
    filter: { type: "string", default: "" },
    without: { type: "string", default: "" },
    out: { type: "string" },
    page: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help || positionals.some((name) => !(name in suites))) {
  const list = Object.entries(suites).map(([name, { about }]) => `  ${name.padEnd(10)}${about}`);
  console.log(`pnpm bench [suite ...] [--threads 1,2] [--rounds 5] [--window MS] [--filter TEXT] [--without NAME,...] [--out FOLDER] [--page]

${list.join("\n")}

Without names: all but gpu. --page only rewrites docs/benchmarks.md and its charts from results. Optional: VLM_BENCH_PYTHON (a Python with PyTorch), VLM_BENCH_NODE (a second Node),
VLM_BENCH_MACHINE (a description). Close other programs first: the load average is written into the results.`);
  process.exit(values.help ? 0 : 1);
}

if (values.page) {
  const results = fileURLToPath(new URL("results", import.meta.url));
  const newest = readdirSync(results).sort().at(-1);
  writePage(values.out ?? path.join(results, newest ?? ""), fileURLToPath(new URL("../docs", import.meta.url)));
  process.exit(0);
}
const machine = await describeMachine();
const options: RunOptions = {
  threads: values.threads.split(",").map(Number),
  pace: { rounds: Number(values.rounds), window: Number(values.window) },
  otherNode: process.env.VLM_BENCH_NODE ?? null,
  python: process.env.VLM_BENCH_PYTHON ?? null,
  filter: values.filter,
  without: values.without.split(",").filter(Boolean),
  log: (text) => console.log(text),
  keep: () => {},
};
const folder = values.out ?? fileURLToPath(new URL(`results/${machine.date}`, import.meta.url));
mkdirSync(folder, { recursive: true });

const chosen = positionals.length > 0 ? positionals : Object.keys(suites).filter((name) => name !== "gpu");
for (const name of chosen) {
  const start = performance.now();
  const keep = (findings: Findings): void => {
    writeReport({ suite: name, machine, seconds: (performance.now() - start) / 1000, ...findings });
  };
  keep(await suites[name]!.run({ ...options, keep }));
  console.log(`${name}: ${path.relative(process.cwd(), folder)}/${name}.md`);
}

function writeReport(report: Report): void {
  const { suite } = report;
  const write = (file: string, content: string): void => writeFileSync(path.join(folder, file), content);
  const short = (_: string, x: unknown): unknown => (typeof x === "number" ? Number(x.toPrecision(5)) : x);
  write(`${suite}.json`, `${JSON.stringify(report, short, 1)}\n`);
  write(`${suite}.md`, markdownOf(report));
  for (const threads of new Set(report.comparisons?.map((comparison) => comparison.threads))) {
    const some = report.comparisons!.filter((comparison) => comparison.threads === threads);
    const title = `${suite}: time over ours, ${threads} thread${threads === 1 ? "" : "s"}`;
    write(`${suite}-${threads}.svg`, ratioChart(title, some));
  }
  report.curves?.forEach((curve, i) => {
    write(`${suite}-${i + 1}.svg`, curveChart(curve));
  });
}
