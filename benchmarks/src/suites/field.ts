/** Who takes part, and how a list of works is measured. */

import type { Findings, RunOptions } from "../report/report.ts";
import { type Comparison, Field } from "../run/compare.ts";
import type { Entry } from "../run/contender-process.ts";
import { bytesOf, flopsOf, type Work } from "../work/work.ts";

export type Case = { name: string; work: Work };

/** Ours first: everything is shown as a ratio to the first. */
export function entriesOf({ otherNode, python, without }: RunOptions): Entry[] {
  const all: Entry[] = [
    { name: "vlm", contender: "vlm" },
    { name: "vlm, no relaxed SIMD", contender: "vlm-plain" },
    ...(otherNode ? [{ name: "vlm, other Node", contender: "vlm", node: otherNode }] : []),
    { name: "onnxruntime-node", contender: "onnxruntime-node" },
    ...(python ? [{ name: "PyTorch CPU", contender: "torch", python }] : []),
    { name: "onnxruntime-web", contender: "onnxruntime-web" },
    { name: "tfjs wasm", contender: "tfjs" },
    { name: "jax-js wasm", contender: "jax-js", ...(otherNode && { node: otherNode }) },
  ];
  return all.filter(({ name }) => !without.some((start) => name.startsWith(start)));
}

/** Measures every case with every number of threads. */
export async function measureAll(cases: readonly Case[], options: RunOptions): Promise<Findings> {
  const comparisons: Comparison[] = [];
  let versions: Findings["versions"] = {};
  for (const threads of options.threads) {
    const field = new Field(entriesOf(options), threads);
    try {
      await field.open();
      versions = { ...versions, ...field.versions };
      for (const { name, work } of cases.filter((one) => new RegExp(options.filter).test(one.name))) {
        const comparison = await field.compare(name, work, options.pace);
        comparisons.push(comparison);
        options.log(lineOf(comparison));
        options.keep({ comparisons, versions });
      }
    } finally {
      field.close();
    }
  }
  return { comparisons, versions };
}

function lineOf({ name, threads, work, rows }: Comparison): string {
  const parts = rows.map(({ contender, time, cpu, state, error, gflops }) =>
    time
      ? `${contender} cpu ${cpu?.best.toFixed(3)} clock ${time.best.toFixed(3)} ms${flopsOf(work) > 0 && gflops ? ` ${gflops.toFixed(1)} GF/s` : ""}`
      : `${contender} ${state} (${error?.slice(0, 60)})`,
  );
  const bytes = bytesOf(work);
  return `${name}, ${threads} thread(s)${bytes ? `, ${(bytes / 1e6).toFixed(1)} MB` : ""}: ${parts.join(" | ")}`;
}
