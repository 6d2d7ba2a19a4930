/** How time and memory grow: with the batch, with the length of the sequence, with threads. */
import type { Curve, RunOptions, Suite, Table } from "../report/report.ts";
import { ContenderProcess, type Entry } from "../run/contender-process.ts";
import { summaryOf } from "../run/statistics.ts";
import type { Work } from "../work/work.ts";
import { VIT_S16 } from "./models.ts";

type Point = { milliseconds: number; megabytes: number };

/** A process of its own for each point, so that the peak of its memory means something. */
async function point(entry: Entry, threads: number, work: Work, { pace }: RunOptions): Promise<Point | null> {
  const process = new ContenderProcess(entry);
  try {
    const steps = [
      await process.ask({ do: "open", contender: entry.contender, threads }),
      await process.ask({ do: "prepare", work, file: "" }),
      await process.ask({ do: "measure", milliseconds: 250 }),
    ];
    if (steps.some(({ ok }) => !ok)) return null;
    const samples: number[] = [];
    for (let round = 0; round < pace.rounds; round++) {
      const reply = await process.ask({ do: "measure", milliseconds: pace.window });
      if (reply.ok) samples.push(...((threads === 1 ? reply.cpu : reply.samples) ?? []));
    }
    const usage = await process.ask({ do: "memory" });
    return { milliseconds: summaryOf(samples).best, megabytes: usage.ok ? (usage.rss ?? 0) / 1e6 : Number.NaN };
  } finally {
    process.close();
  }
}

async function sweep(
  title: string,
  x: string,
  entries: readonly Entry[],
  values: readonly number[],
  workOf: (value: number) => { work: Work; threads: number },
  options: RunOptions,
): Promise<{ curves: Curve[]; table: Table }> {
  const times: Curve = { title, x, y: "best ms", logarithmic: true, series: [] };
  const space: Curve = { title: `${title}: peak memory of the process`, x, y: "MB", logarithmic: true, series: [] };
  const table: Table = { title, columns: ["library", x, "best ms", "peak MB of the process"], rows: [] };
  for (const entry of entries) {
    const series: [number, Point][] = [];
    for (const value of values) {
      const { work, threads } = workOf(value);
      const found = await point(entry, threads, work, options);
      table.rows.push([entry.name, `${value}`, found?.milliseconds ?? "failed", found?.megabytes ?? null]);
      options.log(
        `${title}, ${entry.name}, ${x} ${value}: ${found ? `${found.milliseconds.toFixed(2)} ms` : "failed"}`,
      );
      if (found) series.push([value, found]);
    }
    times.series.push({ name: entry.name, points: series.map(([at, { milliseconds }]) => [at, milliseconds]) });
    space.series.push({ name: entry.name, points: series.map(([at, { megabytes }]) => [at, megabytes]) });
  }
  return { curves: [times, space], table };
}

export const curves: Suite = {
  about: "time and memory against batch, sequence length and threads",
  async run(options) {
    const ours: Entry = { name: "vlm", contender: "vlm" };
    const node: Entry = { name: "onnxruntime-node", contender: "onnxruntime-node" };
    const web: Entry = { name: "onnxruntime-web", contender: "onnxruntime-web" };
    const [threads = 1] = options.threads;
    const block = { width: 384, depth: 2, heads: 6, activation: "gelu" } as const;
    const results = [
      await sweep(
        "ViT-S/16 forward by batch",
        "batch",
        [ours, node, web],
        [1, 2, 4, 8, 16],
        (batch) => ({ threads, work: { kind: "vit", mode: "forward", model: VIT_S16, batch } }),
        options,
      ),
      await sweep(
        "Two blocks of width 384 by length",
        "tokens",
        [ours, node, web],
        [64, 128, 256, 512, 1024],
        (tokens) => ({ threads, work: { kind: "blocks", mode: "forward", model: block, batch: 1, tokens } }),
        options,
      ),
      await sweep(
        "Training step of two blocks by length",
        "tokens",
        [ours],
        [64, 128, 256, 512, 1024],
        (tokens) => ({ threads, work: { kind: "blocks", mode: "train", model: block, batch: 1, tokens } }),
        options,
      ),
      await sweep(
        "ViT-S/16 forward, batch 4, by threads",
        "threads",
        [ours, node],
        options.threads,
        (count) => ({ threads: count, work: { kind: "vit", mode: "forward", model: VIT_S16, batch: 4 } }),
        options,
      ),
    ];
    return { curves: results.flatMap((result) => result.curves), tables: results.map(({ table }) => table) };
  },
};
