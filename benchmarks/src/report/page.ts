/** docs/benchmarks/results.md and its charts, from one folder of results: wins and losses by the same rule. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Comparison, groupOf, scoreOf } from "../run/field.ts";
import { suites } from "../suites/index.ts";
import { chartsOf } from "./charts-of.ts";
import { figure, machineOf, runOf, table, tableOf } from "./markdown.ts";
import type { Report } from "./report.ts";

const OWN = /^vlm/;

type Verdict = { work: string; group: string; other: string; ratio: number };

/** Time of the other over ours, for every work that both did and whose times mean something. */
export function verdictsOf(comparisons: readonly Comparison[]): Verdict[] {
  return comparisons.flatMap((comparison) => {
    const { name: work, threads, rows, untimed } = comparison;
    const ours = rows[0] && scoreOf(rows[0], threads);
    if (!ours || untimed) return [];
    return rows.flatMap((row) => {
      const theirs = scoreOf(row, threads);
      if (OWN.test(row.contender) || !theirs) return [];
      return [{ work, group: groupOf(comparison), other: row.contender, ratio: theirs / ours }];
    });
  });
}

const times = (x: number): string => `${x >= 10 ? x.toFixed(0) : x.toFixed(2)}×`;

/** One line for a library: how often each is faster, the middle, and the extremes. */
function summary(verdicts: readonly Verdict[]): string {
  const rows = [...new Set(verdicts.map(({ other }) => other))].map((other) => {
    const own = verdicts.filter((one) => one.other === other).sort((a, b) => a.ratio - b.ratio);
    const [worst, middle, best] = [own[0]!, own[own.length >> 1]!, own.at(-1)!];
    const won = own.filter(({ ratio }) => ratio >= 1).length;
    const extremes = [worst, best].map(({ ratio, work }) => `${times(ratio)} (${work})`);
    return [other, `${won}`, `${own.length - won}`, times(middle.ratio), ...extremes];
  });
  return table(["against", "we are faster in", "slower in", "middle", "worst for us", "best for us"], rows);
}

function grid(comparisons: readonly Comparison[]): string {
  const names = [...new Set(comparisons.flatMap(({ rows }) => rows.map(({ contender }) => contender)))];
  const rows = comparisons.map(({ name, rows: all, threads, untimed }) => {
    const ours = all[0] && scoreOf(all[0], threads);
    const cells = names.map((contender) => {
      const row = all.find((one) => one.contender === contender);
      const score = row && scoreOf(row, threads);
      if (!row || !score) return row?.state === "not offered" ? "–" : (row?.state ?? "");
      if (untimed) return "ran, result agrees";
      return row === all[0] || !ours ? figure(score) : `${figure(score)} (${times(score / ours)})`;
    });
    return [name, ...cells];
  });
  return table([comparisons[0]?.untimed ? "work" : "ms (over ours)", ...names], rows);
}

/** What did not run, a line per reason. */
function failuresOf(comparisons: readonly Comparison[]): string[] {
  const works = new Map<string, string[]>();
  for (const { name, rows } of comparisons) {
    for (const { contender, state, error = "" } of rows) {
      if (state !== "failed" && state !== "differs") continue;
      const reason = `${contender} ${state}: ${error.replaceAll("<", "&lt;")}`;
      works.set(reason, [...(works.get(reason) ?? []), name]);
    }
  }
  return [...works].map(([reason, names]) => `- ${reason} (${names.join("; ")})`);
}

/** Losses and wins in the same words: a line for each library, what matters most first. */
function balance(verdicts: readonly Verdict[]): string[] {
  if (verdicts.length === 0) return [];
  const line = (other: string, own: readonly Verdict[]): string =>
    `- against ${other}: ${own.map(({ work, ratio }) => `${work} ${times(ratio)}`).join("; ")}`;
  const lines = (some: readonly Verdict[]): string =>
    [...new Set(some.map(({ other }) => other))]
      .map((other) =>
        line(
          other,
          some.filter((one) => one.other === other),
        ),
      )
      .join("\n");
  const lost = verdicts.filter(({ ratio }) => ratio < 1).sort((x, y) => x.ratio - y.ratio);
  const won = verdicts.filter(({ ratio }) => ratio >= 1).sort((x, y) => y.ratio - x.ratio);
  return [
    `We are faster in ${won.length} of ${verdicts.length} pairs and slower in ${lost.length}.`,
    ...(lost.length > 0 ? ["Where we are slower:", lines(lost)] : []),
    ...(won.length > 0 ? ["Where we are faster:", lines(won)] : []),
  ];
}

const PROSE = `# Benchmarks

What this library costs, and what you would use instead, by the same measure. \`pnpm bench\` repeats all of it;
[benchmarks/README.md](../../benchmarks/README.md) says how it is measured. Every library runs in a process or page of
its own on the same numbers; its results are compared with ours before its time counts, and then windows of all
libraries alternate. A ratio is the other's best time over ours: **above 1 we are faster, below 1 we are slower.**

With one thread, times are processor time of the whole process, which on a quiet machine agrees with the clock; with
more threads, and in the browser, they are by the clock. “–” is what a library does not offer.`;

const heading = (name: string): string => name[0]!.toUpperCase() + name.slice(1);

/** Reports of a folder, in the order of the suites; others last. */
function reportsIn(folder: string): Report[] {
  const names = readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.replace(/\.json$/, ""));
  const order = Object.keys(suites);
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return names
    .sort((a, b) => rank(a) - rank(b))
    .map((name) => JSON.parse(readFileSync(path.join(folder, `${name}.json`), "utf8")) as Report);
}

function sectionOf(report: Report): string[] {
  const { suite, comparisons = [], tables = [], complete, error } = report;
  const charts = chartsOf(report);
  const picture = (title: string): string[] =>
    charts.filter((chart) => chart.title === title).map(({ file }) => `![${title}](charts/${file})`);
  const parts = [`## ${heading(suite)}`];
  if (suites[suite]) parts.push(`${heading(suites[suite].about)}: \`pnpm bench ${suite}\`.`);
  if (comparisons.length > 0) {
    parts.push(`Medians, 90 % and first calls: \`benchmarks/results/${report.machine.date}/${suite}.md\`.`);
  }
  if (error) parts.push(`**The suite stopped:** ${error}`);
  else if (!complete) parts.push("**The run was ended before this suite was complete.**");
  for (const group of new Set(comparisons.map(groupOf))) {
    const own = comparisons.filter((one) => groupOf(one) === group);
    parts.push(`### ${heading(suite)}, ${group}`, ...picture(`${suite}: ${group}`), grid(own));
    parts.push(...balance(verdictsOf(own)));
    const failures = failuresOf(own);
    if (failures.length > 0) parts.push("What did not run, or gave other results:", failures.join("\n"));
  }
  const drawn = new Set(tables.map(({ title }) => title));
  for (const one of tables) {
    parts.push(`#${tableOf(one)}`, ...charts.filter(({ title }) => title.startsWith(one.title)).map(imageOf));
  }
  const rest = charts.filter(({ title }) => ![...drawn].some((start) => title.startsWith(start)));
  parts.push(...rest.filter(({ title }) => !title.startsWith(`${suite}: `)).map(imageOf));
  return parts;
}

const imageOf = ({ title, file }: { title: string; file: string }): string => `![${title}](charts/${file})`;

/** Which suites are of another run than the first. */
function earlierOf([first, ...others]: readonly Report[]): string[] {
  const runs = new Map<string, string[]>();
  for (const report of others) {
    const run = runOf(report);
    if (run !== runOf(first!)) runs.set(run, [...(runs.get(run) ?? []), report.suite]);
  }
  return [...runs].map(([run, suites]) => `Of ${run} are: ${suites.join(", ")}.`);
}

/** Writes the page and its charts; `results` is a folder of one date. */
export function writePage(results: string, docs: string): void {
  const reports = reportsIn(results);
  if (reports.length === 0) throw new Error(`${results} has no results`);
  const charts = path.join(docs, "charts");
  rmSync(charts, { recursive: true, force: true });
  mkdirSync(charts, { recursive: true });
  for (const { file, content } of reports.flatMap(chartsOf)) writeFileSync(path.join(charts, file), content);
  const packages = reports.flatMap(({ versions = {} }) => Object.values(versions).flatMap(Object.entries<string>));
  const versions = [...new Set(packages.map(([name, version]) => `${name} ${version}`))];
  const parts = [PROSE, machineOf(reports[0]!), ...earlierOf(reports)];
  if (versions.length > 0) parts.push(`Versions: ${versions.join(", ")}.`);
  const verdicts = reports.flatMap(({ comparisons = [] }) => verdictsOf(comparisons));
  const groups = [...new Set(verdicts.map(({ group }) => group))];
  if (groups.length > 0) parts.push("## Summary");
  for (const group of groups) {
    parts.push(`### All works, ${group}`, summary(verdicts.filter((one) => one.group === group)));
  }
  for (const report of reports) parts.push(...sectionOf(report));
  if (!reports.some(({ suite }) => suite === "gpu")) {
    parts.push(
      "## Gpu",
      "Not measured: no machine with a GPU was at hand. `VLM_GPU=hardware pnpm bench gpu` measures it.",
    );
  }
  writeFileSync(path.join(docs, "results.md"), `${parts.join("\n\n")}\n`);
}
