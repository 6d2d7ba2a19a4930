/** The page says losses as plainly as wins, and software adapters count for neither. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { verdictsOf, writePage } from "../src/report/page.ts";
import type { Curve, Report } from "../src/report/report.ts";
import type { Comparison, Row } from "../src/run/field.ts";

const row = (contender: string, best: number): Row => ({
  contender,
  state: "measured",
  time: { best, median: best, p90: best, mean: best, count: 1 },
});

const comparison = (name: string, theirs: number, more: Partial<Comparison> = {}): Comparison => ({
  name,
  threads: 2,
  work: { kind: "matmul", mode: "forward", m: 1, k: 1, n: 1 },
  load: 0,
  rows: [row("vlm", 2), row("tfjs", theirs), { contender: "jax-js", state: "failed", error: "no <memory>" }],
  ...more,
});

const growth: Curve = {
  title: "Growth",
  x: "n",
  y: "ms",
  series: [{ name: "vlm", points: [1, 2, 4].map((n) => [n, n * n]) }],
};

const report: Report = {
  suite: "kernels",
  machine: {
    description: "a test",
    processor: "none",
    cores: 2,
    memoryGiB: 1,
    platform: "none",
    node: "20",
    v8: "0",
    date: "2000-01-01",
    commit: null,
    load: 0,
    peakWasm: null,
    peakC: null,
  },
  seconds: 1,
  complete: true,
  comparisons: [
    comparison("won", 8),
    comparison("lost", 1),
    comparison("software", 9, { group: "WebGPU", untimed: true }),
  ],
  tables: [
    {
      title: "Sizes",
      columns: ["library", "kB"],
      rows: [
        ["vlm", 1],
        ["tfjs", 3],
      ],
      bars: { value: 1, unit: "kB" },
    },
  ],
  curves: [growth],
};

it("counts what both did on real devices", () => {
  const verdicts = verdictsOf(report.comparisons!);
  expect(verdicts.map(({ work, ratio }) => [work, ratio])).toEqual([
    ["won", 4],
    ["lost", 0.5],
  ]);
});

it("writes a page with every loss, every failure and every chart", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-page-"));
  try {
    writeFileSync(path.join(folder, "kernels.json"), JSON.stringify(report));
    writePage(folder, path.join(folder, "docs"));
    const page = readFileSync(path.join(folder, "docs", "results.md"), "utf8");
    expect(page).toContain("We are faster in 1 of 2 pairs and slower in 1.");
    expect(page).toContain("Where we are slower:\n\n- against tfjs: lost 0.50×");
    expect(page).toContain("Where we are faster:\n\n- against tfjs: won 4.00×");
    expect(page).toContain("jax-js failed: no &lt;memory>");
    expect(page).not.toContain("4.50×");
    const pictures = [...page.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, file]) => file!);
    expect(pictures).toHaveLength(3);
    for (const file of pictures) expect(readFileSync(path.join(folder, "docs", file), "utf8")).toMatch(/^<svg /);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
