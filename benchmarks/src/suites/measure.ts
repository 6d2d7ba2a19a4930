/** Who takes part, and how a list of works is measured. */
import type { Findings, RunOptions } from "../report/report.ts";
import type { Entry } from "../run/entry.ts";
import { type Comparison, Field } from "../run/field.ts";
import { bytesOf, flopsOf, type Work } from "../work/work.ts";

export type Case = {
  name: string;
  work: Work;
  /** Takes long: ours in other forms sit it out. */
  long?: boolean;
  /** Only with the most threads. */
  mostThreads?: boolean;
};

/** Ours first: everything is shown as a ratio to the first. */
export function entriesOf({ otherNode, python, without }: RunOptions): Entry[] {
  const own = ["@vlm/core"];
  const all: Entry[] = [
    { name: "vlm", contender: "vlm", packages: own, own: true },
    { name: "vlm (plain SIMD)", contender: "vlm-plain", packages: own, own: true },
    ...(otherNode ? [{ name: "vlm (other Node)", contender: "vlm", packages: own, node: otherNode, own: true }] : []),
    { name: "onnxruntime-node", contender: "onnxruntime-node", packages: ["onnxruntime-node"] },
    ...(python ? [{ name: "PyTorch CPU", contender: "torch", packages: [], python }] : []),
    { name: "onnxruntime-web", contender: "onnxruntime-web", packages: ["onnxruntime-web"] },
    { name: "tfjs wasm", contender: "tfjs", packages: ["@tensorflow/tfjs-backend-wasm"] },
    {
      name: "jax-js wasm",
      contender: "jax-js",
      packages: ["@jax-js/jax"],
      // Attention needs iterator helpers, which came with Node 22.
      ...(otherNode && { node: otherNode }),
    },
  ];
  return all.filter(({ name }, i) => i === 0 || !without.some((start) => name.startsWith(start)));
}

export const selected = <T extends { name: string }>(cases: readonly T[], { filter }: RunOptions): T[] =>
  cases.filter(({ name }) => new RegExp(filter).test(name));

/** Measures every case with every number of threads. */
export async function measureAll(cases: readonly Case[], options: RunOptions): Promise<Findings> {
  const comparisons: Comparison[] = [];
  const versions: Findings["versions"] = {};
  for (const threads of options.threads) {
    const field = new Field(entriesOf(options), threads, options.limitMs);
    try {
      await field.open();
      Object.assign(versions, field.versions);
      for (const { name, work, long, mostThreads } of selected(cases, options)) {
        if (mostThreads && threads < Math.max(...options.threads)) continue;
        const earlier = comparisons.find((one) => one.name === name && one.threads === 1);
        const skip = (entry: Entry): boolean => long === true && entry.own === true && entry.name !== "vlm";
        const comparison = await field.compare(name, work, options.pace, { earlier, skip });
        comparisons.push(comparison);
        options.log(lineOf(comparison));
        options.keep({ comparisons, versions });
      }
    } finally {
      await field.close();
    }
  }
  return { comparisons, versions };
}

export function lineOf({ name, threads, work, rows }: Comparison): string {
  const parts = rows.map(({ contender, time, cpu, state, error, gflops }) =>
    time
      ? `${contender} ${cpu ? `cpu ${cpu.best.toFixed(3)} ` : ""}clock ${time.best.toFixed(3)} ms${flopsOf(work) > 0 && gflops ? ` ${gflops.toFixed(1)} GF/s` : ""}`
      : `${contender} ${state} (${error?.slice(0, 60)})`,
  );
  const bytes = bytesOf(work);
  return `${name}, ${threads} thread(s)${bytes ? `, ${(bytes / 1e6).toFixed(1)} MB` : ""}: ${parts.join(" | ")}`;
}
