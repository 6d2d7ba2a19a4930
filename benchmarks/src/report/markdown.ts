import { type Comparison, groupOf, type Row, scoreOf } from "../run/field.ts";
import type { Report, Table } from "./report.ts";

export const figure = (x: number | undefined, digits = 3): string =>
  x === undefined || !Number.isFinite(x) ? "" : x >= 1000 ? x.toFixed(0) : x.toPrecision(digits);

export const table = (columns: readonly string[], rows: readonly (readonly string[])[]): string =>
  [columns, columns.map((_, i) => (i === 0 ? "---" : "---:")), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
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
  if (!row.time) return [...start, `${row.state}: ${row.error ?? ""}`, "", "", "", "", "", "", ""];
  const { best, median, p90 } = row.time;
  const rate =
    row.gflops !== undefined ? figure(row.gflops) : row.gigabytes !== undefined ? `${figure(row.gigabytes)} GB/s` : "";
  return [
    ...start,
    figure(row.cpu?.best),
    figure(row.cpu?.median),
    figure(best),
    figure(median),
    figure(p90),
    rate,
    ratioOf(ours, row, comparison.threads),
    figure(row.firstMs),
  ];
}

const COLUMNS = [
  "work",
  "library",
  "cpu ms, best",
  "median",
  "clock ms, best",
  "median",
  "90%",
  "GFLOP/s",
  "theirs over ours",
  "first call ms",
];

function comparisonsOf(comparisons: readonly Comparison[]): string[] {
  return [...new Set(comparisons.map(groupOf))].map((group) => {
    const own = comparisons.filter((one) => groupOf(one) === group);
    const rows = own.flatMap((comparison) => comparison.rows.map((row, i) => rowOf(comparison, row, i === 0)));
    return `## ${group}\n\n${table(COLUMNS, rows)}`;
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

/** Which run a report is of. */
export const runOf = ({ machine: { date, commit } }: Report): string =>
  `${date}${commit ? ` at commit ${commit}` : ""}`;

/** Where, when and with what. */
export function machineOf(report: Report): string {
  const { description, processor, memoryGiB, node, platform, load, peakWasm, peakC } = report.machine;
  const peak = [peakWasm && `${figure(peakWasm)} in WebAssembly`, peakC && `${figure(peakC)} in C`].filter(Boolean);
  return (
    `Measured ${runOf(report)} on ${description}: ${processor}, ${memoryGiB} GiB, ${platform}, ` +
    `Node ${node}; load average ${load} when the run began. Peak of 128-bit fused multiply-add on one thread, GFLOP/s: ` +
    `${peak.join(", ") || "not measured"}.`
  );
}

function versionsLines(versions: NonNullable<Report["versions"]>): string {
  return Object.entries(versions)
    .map(([name, parts]) => {
      const list = Object.entries(parts).map(([part, version]) => `${part} ${version}`);
      return `- ${name}: ${list.join(", ")}`;
    })
    .join("\n");
}

export function markdownOf(report: Report): string {
  const { suite, machine, comparisons = [], tables = [], versions = {}, seconds, complete, error } = report;
  const state = error ? ` It stopped: ${error}` : complete ? "" : " It was ended before it was complete.";
  return `${[
    `# ${suite}, ${machine.date}`,
    `${machineOf(report)} The run took ${seconds.toFixed(0)} s.${state}`,
    ...(Object.keys(versions).length > 0 ? [versionsLines(versions)] : []),
    ...comparisonsOf(comparisons),
    ...tables.map(tableOf),
  ].join("\n\n")}\n`;
}
