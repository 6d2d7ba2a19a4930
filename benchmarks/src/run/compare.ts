/** Measures one piece of work in several libraries: results are compared first, then windows of time alternate. */
import { readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { bytesOf, flopsOf, type Work } from "../work/work.ts";
import { ContenderProcess, type Entry } from "./contender-process.ts";
import { difference, type Summary, summaryOf } from "./statistics.ts";

export type Row = {
  contender: string;
  /** Fewer than asked for, where the library cannot use them. */
  threads?: number;
  state: "measured" | "failed" | "not offered" | "differs";
  error?: string;
  /** Milliseconds by the clock, and of processor time in all threads. */
  time?: Summary;
  cpu?: Summary;
  firstMs?: number;
  kernels?: number;
  /** Greatest difference from our results, as a share of the greatest value. */
  difference?: number;
  gflops?: number;
  gigabytes?: number;
};

/**
 * The milliseconds that count. With one thread that is processor time: on a machine that others use too, the clock
 * mostly measures them. (On an idle machine the two agree.) With more threads only the clock says anything.
 */
export const scoreOf = ({ time, cpu }: Row, threads: number): number | undefined =>
  threads === 1 ? cpu?.best : time?.best;

export type Comparison = { name: string; threads: number; work: Work; load: number; rows: Row[] };

export type Pace = {
  /** Rounds of alternating windows. */
  rounds: number;
  /** Milliseconds of a window. */
  window: number;
};

/** Largest accepted differences: results are sums of many products, gradients sums of those. */
const TOLERANCE = { forward: 2e-4, gradient: 2e-3, train: 2e-3 } as const;

/** Milliseconds that may pass until a library has its first result; what is slower is reported as such. */
const PREPARE_LIMIT = 90_000;

/** Processes that stay open from one piece of work to the next. */
export class Field {
  readonly threads: number;
  private readonly processes: ContenderProcess[];
  private readonly broken = new Map<ContenderProcess, string>();
  private readonly threadsOf = new Map<ContenderProcess, number>();
  readonly versions: Record<string, Record<string, string>> = {};

  constructor(entries: readonly Entry[], threads: number) {
    this.threads = threads;
    this.processes = entries.map((entry) => new ContenderProcess(entry));
  }

  async open(): Promise<void> {
    for (const process of this.processes) {
      const { contender, name } = process.entry;
      const reply = await process.ask({ do: "open", contender, threads: this.threads });
      if (!reply.ok) this.broken.set(process, reply.error);
      else {
        this.versions[name] = reply.versions ?? {};
        if (reply.threads) this.threadsOf.set(process, reply.threads);
      }
    }
  }

  async compare(name: string, work: Work, pace: Pace): Promise<Comparison> {
    const rows = new Map<ContenderProcess, Row>();
    const ready: ContenderProcess[] = [];
    let ours: Float32Array[] | undefined;
    for (const process of this.processes) {
      const contender = process.entry.name;
      const broken = this.broken.get(process);
      if (broken) {
        rows.set(process, { contender, state: "failed", error: broken });
        continue;
      }
      const file = path.join(os.tmpdir(), `vlm-bench-${globalThis.process.pid}.bin`);
      const reply = await process.ask({ do: "prepare", work, file }, PREPARE_LIMIT);
      if (!reply.ok) {
        rows.set(process, { contender, state: reply.offered ? "failed" : "not offered", error: reply.error });
        continue;
      }
      const results = readResults(file);
      rmSync(file);
      ours ??= results;
      const { firstMs, kernels } = reply;
      const row: Row = {
        contender,
        state: "measured",
        ...(this.threadsOf.get(process) !== undefined && { threads: this.threadsOf.get(process)! }),
        difference: difference(results, ours),
        ...(firstMs !== undefined && { firstMs }),
        ...(kernels !== undefined && { kernels }),
      };
      rows.set(process, row);
      if (row.difference! <= TOLERANCE[work.mode]) ready.push(process);
      else {
        row.state = "differs";
        row.error = `differs from our result by ${row.difference!.toExponential(1)}`;
        await process.ask({ do: "dispose" });
      }
    }
    const samples = new Map<ContenderProcess, number[]>(ready.map((process) => [process, []]));
    const cpu = new Map<ContenderProcess, number[]>(ready.map((process) => [process, []]));
    for (const process of ready) await process.ask({ do: "measure", milliseconds: Math.min(250, pace.window) });
    const spent = new Map<ContenderProcess, number>();
    for (let round = 0; round < pace.rounds; round++) {
      for (let i = 0; i < ready.length; i++) {
        const process = ready[(i + round) % ready.length]!;
        // Whoever needs many windows' time for a call leaves after two calls, or a run would take hours.
        if ((spent.get(process) ?? 0) > 3 * pace.rounds * pace.window && samples.get(process)!.length >= 2) continue;
        const start = performance.now();
        const reply = await process.ask({ do: "measure", milliseconds: pace.window });
        if (reply.ok) {
          samples.get(process)!.push(...(reply.samples ?? []));
          cpu.get(process)!.push(...(reply.cpu ?? []));
        } else rows.set(process, { contender: process.entry.name, state: "failed", error: reply.error });
        spent.set(process, (spent.get(process) ?? 0) + performance.now() - start);
      }
    }
    for (const process of ready) {
      const row = rows.get(process)!;
      if (row.state !== "measured") continue;
      row.time = summaryOf(samples.get(process)!);
      row.cpu = summaryOf(cpu.get(process)!);
      const best = scoreOf(row, this.threads)!;
      if (flopsOf(work) > 0) row.gflops = flopsOf(work) / best / 1e6;
      if (bytesOf(work) > 0) row.gigabytes = bytesOf(work) / best / 1e6;
      await process.ask({ do: "dispose" });
    }
    return { name, threads: this.threads, work, load: os.loadavg()[0]!, rows: [...rows.values()] };
  }

  close(): void {
    for (const process of this.processes) process.close();
  }
}

function readResults(file: string): Float32Array[] {
  const bytes = readFileSync(file);
  const all = new Uint8Array(bytes).buffer;
  const [count] = new Uint32Array(all, 0, 1);
  const lengths = new Uint32Array(all, 4, count);
  let at = 4 + 4 * count!;
  return [...lengths].map((length) => {
    const part = new Float32Array(all, at, length);
    at += 4 * length;
    return part;
  });
}
