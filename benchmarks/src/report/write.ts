import { writeFileSync } from "node:fs";
import path from "node:path";
import { type Chart, chartsOf } from "./charts-of.ts";
import { markdownOf } from "./markdown.ts";
import type { Report } from "./report.ts";

/** Writes a suite's JSON, Markdown and charts. */
export function writeReport(folder: string, report: Report): void {
  const write = (file: string, content: string): void => writeFileSync(path.join(folder, file), content);
  const five = (_: string, x: unknown): unknown => (typeof x === "number" ? Number(x.toPrecision(5)) : x);
  write(`${report.suite}.json`, `${JSON.stringify(report, five, 1)}\n`);
  const charts = chartsOf(report);
  for (const { file, content } of charts) write(file, content);
  const pictures = charts.map(({ title, file }: Chart) => `![${title}](${file})`);
  write(`${report.suite}.md`, `${[markdownOf(report).trim(), ...pictures].join("\n\n")}\n`);
}
