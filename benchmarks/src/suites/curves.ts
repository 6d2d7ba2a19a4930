/** How time and memory grow: with the batch, with the length of the sequence, with threads. */
import type { Curve, RunOptions, Suite, Table } from "../report/report.ts";
import type { Entry } from "../run/entry.ts";
import { Field, scoreOf } from "../run/field.ts";
import type { Work } from "../work/work.ts";
import { entriesOf } from "./measure.ts";
import { VIT_S16 } from "./models.ts";

type Sweep = {
  title: string;
  x: string;
  /** Contenders by name; who is not part of this run is left out. */
  names: readonly string[];
  values: readonly number[];
  workOf(value: number): { work: Work; threads: number };
};

/** Milliseconds of a call after which a curve ends. */
const LONG = 3000;

async function sweep({ title, x, names, values, workOf }: Sweep, options: RunOptions) {
  const entries = entriesOf(options).filter(({ name }) => names.includes(name));
  const curveOf = (what: string, y: string): Curve => ({ title: `${title}: ${what}`, x, y, series: [] });
  const times = curveOf("time", "ms");
  const space = curveOf("peak memory of the process", "MB");
  const table: Table = { title, columns: ["library", x, "best ms", "peak MB of the process"], rows: [] };
  const points = new Map<Entry, { time: [number, number][]; memory: [number, number][] }>();
  for (const entry of entries) points.set(entry, { time: [], memory: [] });
  // Whoever took seconds, or failed, is not asked for more.
  const done = new Set<Entry>();
  for (const value of values) {
    const { work, threads } = workOf(value);
    // New processes for each point, so that the peak of their memory means something.
    const running = entries.filter((entry) => !done.has(entry));
    const field = new Field(running, threads, options.limitMs);
    const { rows } = await field.compare(title, work, options.pace, { quick: true });
    await field.close();
    for (const [i, entry] of running.entries()) {
      const row = rows[i]!;
      const milliseconds = scoreOf(row, threads);
      const megabytes = row.memory && row.memory.peak / 1e6;
      table.rows.push([entry.name, `${value}`, milliseconds ?? `${row.state}: ${row.error}`, megabytes ?? null]);
      options.log(
        `${title}, ${entry.name}, ${x} ${value}: ${milliseconds ? `${milliseconds.toFixed(2)} ms` : row.error}`,
      );
      if (!milliseconds || milliseconds > LONG) done.add(entry);
      if (milliseconds) points.get(entry)!.time.push([value, milliseconds]);
      if (megabytes) points.get(entry)!.memory.push([value, megabytes]);
    }
  }
  table.rows.sort(([a], [b]) => names.indexOf(String(a)) - names.indexOf(String(b)));
  for (const [{ name }, { time, memory }] of points) {
    times.series.push({ name, points: time });
    if (memory.length > 0) space.series.push({ name, points: memory });
  }
  return { curves: space.series.length > 0 ? [times, space] : [times], table };
}

const block = { width: 384, depth: 2, heads: 6, activation: "gelu" } as const;
const lengths = [64, 128, 256, 512, 1024];
const runtimes = ["vlm", "onnxruntime-node", "onnxruntime-web", "PyTorch CPU"];

const sweepsFor = (threads: number, counts: readonly number[]): Sweep[] => [
  {
    title: "ViT-S/16 forward by batch",
    x: "batch",
    names: runtimes,
    values: [1, 2, 4, 8, 16],
    workOf: (batch) => ({ threads, work: { kind: "vit", mode: "forward", model: VIT_S16, batch } }),
  },
  {
    title: "Two blocks of width 384, forward, by length",
    x: "tokens",
    names: runtimes,
    values: lengths,
    workOf: (tokens) => ({ threads, work: { kind: "blocks", mode: "forward", model: block, batch: 1, tokens } }),
  },
  {
    title: "Two blocks of width 384, training step, by length",
    x: "tokens",
    names: ["vlm", "tfjs wasm", "PyTorch CPU"],
    values: lengths,
    workOf: (tokens) => ({ threads, work: { kind: "blocks", mode: "train", model: block, batch: 1, tokens } }),
  },
  {
    title: "ViT-S/16 forward, batch 4, by threads",
    x: "threads",
    names: ["vlm", "onnxruntime-node", "PyTorch CPU"],
    values: counts,
    workOf: (count) => ({ threads: count, work: { kind: "vit", mode: "forward", model: VIT_S16, batch: 4 } }),
  },
];

export const curves: Suite = {
  about: "time and memory against batch, sequence length and threads",
  async run(options) {
    const found: { curves: Curve[]; table: Table }[] = [];
    const findings = () => ({ curves: found.flatMap((one) => one.curves), tables: found.map(({ table }) => table) });
    for (const one of sweepsFor(options.threads[0] ?? 1, options.threads)) {
      if (!new RegExp(options.filter).test(one.title)) continue;
      found.push(await sweep(one, options));
      options.keep(findings());
    }
    return findings();
  },
};
