import { groupOf } from "../run/field.ts";
import { barChart, curveChart, ratioChart } from "./chart.ts";
import type { Report } from "./report.ts";

export type Chart = { title: string; file: string; content: string };

/** All charts of a suite, those of comparisons first. Software adapters are not drawn: their times say nothing. */
export function chartsOf({ suite, comparisons = [], tables = [], curves = [] }: Report): Chart[] {
  const timed = comparisons.filter(({ untimed }) => !untimed);
  const contents: [title: string, content: string][] = [...new Set(timed.map(groupOf))].map((group) => {
    const title = `${suite}: ${group}`;
    return [
      title,
      ratioChart(
        title,
        timed.filter((one) => groupOf(one) === group),
      ),
    ];
  });
  for (const curve of curves) {
    if (curve.series.some(({ points }) => points.length > 0)) contents.push([curve.title, curveChart(curve)]);
  }
  for (const table of tables) if (table.bars && table.rows.length > 0) contents.push([table.title, barChart(table)]);
  return contents.map(([title, content], i) => ({ title, file: `${suite}-${i + 1}.svg`, content }));
}
