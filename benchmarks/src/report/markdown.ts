import { type Comparison, type Row, scoreOf } from "../run/compare.ts";
import type { Report, Table } from "./report.ts";

const figure = (x: number | undefined, digits = 3): string =>
  x === undefined || !Number.isFinite(x) ? "" : x >= 1000 ? x.toFixed(0) : x.toPrecision(digits);

const table = (columns: readonly string[], rows: readonly (readonly string[])[]): string =>
  [columns, columns.map((_, i) => (i === 0 ? "---" : "---:")), ...rows]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");

/** Ours over theirs would flatter or not by convention: here above 1 we are faster, below 1 slower. */
const ratioOf = (ours: Row | undefined, row: Row, threads: number): string => {
  const [theirs, own] = [scoreOf(row, threads), ours && scoreOf(ours, threads)];
  return theirs && own && row !== ours ? `${(theirs / own).toFixed(2)}×` : "";
};

function rowOf(comparison: Comparison, row: Row, first: boolean): string[] {
  const ours = comparison.rows[0];
  const threads = row.threads ?? comparison.threads;
  const name = threads === comparison.threads ? row.contender : `${row.contender} (1 thread)`;
  const start = [first ? comparison.name : "", name];
  if (!row.time)
    return [...start, row.state === "measured" ? "" : `${row.state}: ${row.error ?? ""}`, "", "", "", "", "", "", ""];
  const { best, median, p90 } = row.time;
  const cpu = row.cpu ? [row.cpu.best, row.cpu.median] : [];
  const rate =
    row.gflops !== undefined ? figure(row.gflops) : row.gigabytes !== undefined ? `${figure(row.gigabytes)} GB/s` : "";
  return [
    ...start,
    figure(cpu[0]),
    figure(cpu[1]),
    figure(best),
    figure(median),
    figure(p90),
    rate,
    ratioOf(ours, row, comparison.threads),
    figure(row.firstMs),
  ];
}

function comparisonsOf(comparisons: readonly Comparison[]): string[] {
  const groups = new Map<number, Comparison[]>();
  for (const comparison of comparisons) {
    groups.set(comparison.threads, [...(groups.get(comparison.threads) ?? []), comparison]);
  }
  return [...groups].map(([threads, group]) => {
    const columns = [
      "work",
      "library",
      "cpu ms, best",
      "median",
      "clock ms, best",
      "median",
      "90%",
      "GFLOP/s",
      "we are faster by",
      "first call ms",
    ];
    const rows = group.flatMap((comparison) => comparison.rows.map((row, i) => rowOf(comparison, row, i === 0)));
    return `## ${threads} thread${threads === 1 ? "" : "s"}\n\n${table(columns, rows)}`;
  });
}

export const tableOf = ({ title, note, columns, rows }: Table): string =>
  [
    `## ${title}`,
    ...(note ? [note] : []),
    table(
      columns,
      rows.map((row) => row.map((cell) => (typeof cell === "number" ? figure(cell) : (cell ?? "")))),
    ),
  ].join("\n\n");

export function markdownOf({ suite, machine, comparisons = [], tables = [], versions = {}, seconds }: Report): string {
  const { description, processor, node, platform, date, load, peakWasm, peakC } = machine;
  const peak = [peakWasm && `${figure(peakWasm)} in WebAssembly`, peakC && `${figure(peakC)} in C`].filter(Boolean);
  const libraries = Object.entries(versions).map(([name, parts]) => {
    const list = Object.entries(parts).map(([part, version]) => `${part} ${version}`);
    return `- ${name}: ${list.join(", ")}`;
  });
  return `${[
    `# ${suite}, ${date}`,
    `${description}: ${processor}, ${platform}, Node ${node}; load average ${load} at the start. ` +
      `Peak of 128-bit fused multiply-add on one thread, GFLOP/s: ${peak.join(", ") || "not measured"}. ` +
      `The run took ${seconds.toFixed(0)} s.`,
    ...(libraries.length > 0 ? [libraries.join("\n")] : []),
    ...comparisonsOf(comparisons),
    ...tables.map(tableOf),
  ].join("\n\n")}\n`;
}
