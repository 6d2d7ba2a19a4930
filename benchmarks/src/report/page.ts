/** docs/benchmarks.md and its charts, from the newest results: what is won and what is lost, by the same rule. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Comparison, scoreOf } from "../run/compare.ts";
import { curveChart, ratioChart } from "./chart.ts";
import { tableOf } from "./markdown.ts";
import type { Report } from "./report.ts";

const OWN = /^vlm/;

type Verdict = { work: string; threads: number; other: string; ratio: number };

/** Time of the other over ours, for every work that both did. */
function verdictsOf(comparisons: readonly Comparison[]): Verdict[] {
  return comparisons.flatMap(({ name, threads, rows }) => {
    const ours = rows[0] && scoreOf(rows[0], threads);
    return rows
      .filter((row) => !OWN.test(row.contender) && ours && scoreOf(row, threads))
      .map((row) => ({ work: name, threads, other: row.contender, ratio: scoreOf(row, threads)! / ours! }));
  });
}

const times = (x: number): string => `${x >= 10 ? x.toFixed(0) : x.toFixed(2)}×`;

/** One line for a library: how often we are faster, the middle, and the extremes. */
function summary(verdicts: readonly Verdict[]): string {
  const others = [...new Set(verdicts.map(({ other }) => other))];
  const rows = others.map((other) => {
    const own = verdicts.filter((one) => one.other === other).sort((a, b) => a.ratio - b.ratio);
    const [worst, middle, best] = [own[0]!, own[own.length >> 1]!, own.at(-1)!];
    const won = own.filter(({ ratio }) => ratio > 1).length;
    return `| ${other} | ${won} of ${own.length} | ${times(middle.ratio)} | ${times(worst.ratio)} ${worst.work} | ${times(best.ratio)} ${best.work} |`;
  });
  return [
    "| against | we are faster in | middle | worst for us | best for us |",
    "| --- | ---: | ---: | --- | --- |",
    ...rows,
  ].join("\n");
}

function grid(comparisons: readonly Comparison[]): string {
  const names = [...new Set(comparisons.flatMap(({ rows }) => rows.map(({ contender }) => contender)))];
  const rows = comparisons.map(({ name, rows: all, threads }) => {
    const ours = all[0] && scoreOf(all[0], threads);
    const cells = names.map((contender) => {
      const row = all.find((one) => one.contender === contender);
      const score = row && scoreOf(row, threads);
      if (!row || !score) return row?.state === "not offered" ? "–" : (row?.state ?? "");
      const ms = score >= 100 ? score.toFixed(0) : score.toPrecision(3);
      return row === all[0] || !ours ? ms : `${ms} (${times(score / ours)})`;
    });
    return `| ${[name, ...cells].join(" | ")} |`;
  });
  return [`| ms | ${names.join(" | ")} |`, `| --- |${" ---: |".repeat(names.length)}`, ...rows].join("\n");
}

function failuresOf(comparisons: readonly Comparison[]): string[] {
  return comparisons.flatMap(({ name, rows }) =>
    rows
      .filter(({ state }) => state === "failed" || state === "differs")
      .map(({ contender, state, error }) => `- ${contender}, ${name}: ${state}. ${error ?? ""}`),
  );
}

const PROSE = `# Benchmarks

What this library costs and what you would use instead, by the same measure. \`pnpm bench\` repeats all of it;
[benchmarks/](../benchmarks/README.md) says how. Every library runs in a process of its own, on the same numbers; its
results are compared with ours before its time counts, and then windows of all libraries alternate. A ratio is the
other's best time over ours: **above 1 we are faster, below 1 we are slower.**

With one thread, times are processor time (of all threads of the process), because the machine was shared: by the clock
one would measure the neighbours. With more threads only the clock means anything, and on a busy machine not much.
`;

/** Writes the page and its charts; `results` is a folder of one date. */
export function writePage(results: string, docs: string): void {
  const read = (name: string): Report | null => {
    const file = path.join(results, `${name}.json`);
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Report) : null;
  };
  const charts = path.join(docs, "benchmarks");
  mkdirSync(charts, { recursive: true });
  const parts: string[] = [PROSE.trim()];
  const picture = (file: string, content: string, title: string): void => {
    writeFileSync(path.join(charts, file), content);
    parts.push(`![${title}](benchmarks/${file})`);
  };
  const compared = ["models", "kernels"].map(read).filter((report) => report !== null);
  const first = compared[0] ?? read(readdirSync(results)[0]!.replace(/\..*/, ""));
  if (first) {
    const { machine, versions = {} } = first;
    const peaks = [
      machine.peakWasm && `${machine.peakWasm.toFixed(1)} in WebAssembly`,
      machine.peakC && `${machine.peakC.toFixed(1)} in C`,
    ];
    parts.push(
      `Measured ${machine.date} on ${machine.description}, Node ${machine.node}, load average ${machine.load} when the run began. ` +
        `Peak of 128-bit fused multiply-add, one thread, GFLOP/s: ${peaks.filter(Boolean).join(", ")}.`,
    );
    const list = Object.entries(versions).flatMap(([name, all]) => {
      const text = Object.entries(all).map(([part, version]) => `${part} ${version}`);
      return OWN.test(name) ? [] : [`${name} (${text.join(", ")})`];
    });
    parts.push(`The others: ${list.join("; ")}.`);
  }
  const all = compared.flatMap(({ comparisons = [] }) => comparisons);
  for (const threads of new Set(all.map((comparison) => comparison.threads))) {
    const some = all.filter((comparison) => comparison.threads === threads);
    parts.push(`## Summary, ${threads} thread${threads === 1 ? "" : "s"}`, summary(verdictsOf(some)));
  }
  for (const { suite, comparisons = [] } of compared) {
    for (const threads of new Set(comparisons.map((comparison) => comparison.threads))) {
      const some = comparisons.filter((comparison) => comparison.threads === threads);
      const title = `${suite[0]!.toUpperCase()}${suite.slice(1)}, ${threads} thread${threads === 1 ? "" : "s"}`;
      parts.push(`## ${title}`, grid(some));
      picture(`${suite}-${threads}.svg`, ratioChart(title, some), title);
      const losses = verdictsOf(some)
        .filter(({ ratio }) => ratio < 1)
        .sort((a, b) => a.ratio - b.ratio);
      if (losses.length > 0) {
        const lines = losses.map(({ work, other, ratio }) => `${work} against ${other}: ${times(ratio)}`);
        parts.push(`Where we are slower: ${lines.join("; ")}.`);
      }
      const failures = failuresOf(some);
      if (failures.length > 0) parts.push("What did not run:", failures.join("\n"));
    }
  }
  for (const name of ["curves", "startup", "loading", "memory", "size", "host", "gpu"]) {
    const report = read(name);
    if (!report) continue;
    parts.push(...(report.tables ?? []).map(tableOf));
    report.curves?.forEach((curve, i) => {
      picture(`${name}-${i + 1}.svg`, curveChart(curve), curve.title);
    });
  }
  if (!read("gpu"))
    parts.push(
      "## GPU",
      "Not measured: no machine with a GPU was at hand. `VLM_GPU=hardware pnpm bench gpu` measures it.",
    );
  writeFileSync(path.join(docs, "benchmarks.md"), `${parts.join("\n\n")}\n`);
}
