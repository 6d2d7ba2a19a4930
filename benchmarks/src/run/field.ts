/** Measures one piece of work in several libraries: results are compared first, then windows of time alternate. */
import { readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { bytesOf, flopsOf, type Work } from "../work/work.ts";
import { BrowserChannel } from "./browser-channel.ts";
import type { Entry } from "./entry.ts";
import { versionsOf } from "./machine.ts";
import { NodeChannel } from "./node-channel.ts";
import type { Channel, Reply } from "./protocol.ts";
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
  /** Bytes of the process at most, since it began, and when the library had been opened. */
  memory?: { opened: number; peak: number };
};

/**
 * The milliseconds that count. With one thread that is processor time: on a machine that others use too, the clock
 * mostly measures them. (On an idle machine the two agree.) With more threads only the clock says anything.
 */
export const scoreOf = ({ time, cpu }: Row, threads: number): number | undefined =>
  threads === 1 && cpu ? cpu.best : time?.best;

export type Comparison = {
  name: string;
  threads: number;
  work: Work;
  load: number;
  rows: Row[];
  /** Comparisons of one kind stand together under this name; default: the number of threads. */
  group?: string;
  /** The device is a software adapter: the times say that it works, not how fast. */
  untimed?: boolean;
};

/** The name of the table and chart that a comparison belongs to. */
export const groupOf = ({ group, threads }: Comparison): string =>
  group ?? `${threads} thread${threads === 1 ? "" : "s"}`;

export type Pace = {
  /** Rounds of alternating windows. */
  rounds: number;
  /** Milliseconds of a window. */
  window: number;
};

/** Largest accepted differences: results are sums of many products, gradients sums of those. */
const TOLERANCE = { forward: 2e-4, gradient: 2e-3, train: 2e-3 } as const;

const channelOf = (entry: Entry): Channel => (entry.browser ? new BrowserChannel(entry) : new NodeChannel(entry));

/** A contender's channel, and what is known of it. */
type Player = {
  entry: Entry;
  channel: Channel;
  opened: Reply | null;
  threads?: number;
  openedBytes?: number;
  /** Milliseconds for a floating-point operation of a model, by the model: what a greater batch will take. */
  pace: Map<string, number>;
};

/** Works of one model, whatever the batch. */
const modelOf = (work: Work): string => JSON.stringify({ ...work, batch: 0 });

/** Milliseconds of a call after which one is measured, not two; and after which none is made to warm up. */
const ONE_CALL = 5000;
const NO_WARMUP = 1000;

type CompareOptions = {
  /** What the same work took with one thread: whoever has no more is not measured again. */
  earlier?: Comparison | undefined;
  /** Whether this one sits this work out. */
  skip?: (entry: Entry) => boolean;
  /** For figures of memory: no library opens its model twice to find its faster form. */
  quick?: boolean;
};

/** Contenders that stay open from one piece of work to the next; whoever has ended is started again for the next. */
export class Field {
  readonly threads: number;
  private readonly players: Player[];
  private readonly limitMs: number;
  readonly versions: Record<string, Record<string, string>> = {};

  /** `limitMs`: what a call may take, and half of what the first result may: compiling and making weights belong to it. */
  constructor(entries: readonly Entry[], threads: number, limitMs: number) {
    this.threads = threads;
    this.limitMs = limitMs;
    this.players = entries.map((entry) => ({ entry, channel: channelOf(entry), opened: null, pace: new Map() }));
  }

  async open(): Promise<void> {
    for (const player of this.players) await this.openOne(player);
  }

  /** Opens it, and again when it has ended since; one that could never be opened is not tried twice. */
  private async openOne(player: Player): Promise<Reply> {
    if (player.opened && (!player.opened.ok || player.channel.ended === null)) return player.opened;
    if (player.channel.ended !== null) player.channel = channelOf(player.entry);
    const { contender, name, packages } = player.entry;
    const reply = await player.channel.ask({ do: "open", contender, threads: this.threads });
    player.opened = reply;
    if (!reply.ok) return reply;
    this.versions[name] = { ...versionsOf(packages), ...reply.versions };
    if (reply.threads) player.threads = reply.threads;
    player.openedBytes = player.channel.resident()?.peak ?? Number.NaN;
    return reply;
  }

  async compare(name: string, work: Work, pace: Pace, options: CompareOptions = {}): Promise<Comparison> {
    const { earlier, skip, quick = false } = options;
    const rows = new Map<Player, Row>();
    const ready: Player[] = [];
    let ours: Float32Array[] | undefined;
    for (const player of this.players) {
      const { channel, entry } = player;
      if (skip?.(entry)) continue;
      const known = earlier?.rows.find((row) => row.contender === entry.name);
      if (player.threads === 1 && this.threads > 1 && known) {
        rows.set(player, { ...known, threads: 1 });
        continue;
      }
      const prepared = await this.prepare(player, work, quick, ours);
      rows.set(player, prepared.row);
      ours ??= prepared.results;
      if (prepared.row.state === "measured") ready.push(player);
      else await channel.ask({ do: "dispose" });
    }
    await this.measure(ready, rows, pace);
    for (const player of ready) {
      const row = rows.get(player)!;
      const resident = player.channel.resident();
      if (resident) row.memory = { opened: player.openedBytes!, peak: resident.peak };
      await player.channel.ask({ do: "dispose" });
      const best = scoreOf(row, this.threads);
      if (row.time && flopsOf(work) > 0) player.pace.set(modelOf(work), row.time.best / flopsOf(work));
      if (best && flopsOf(work) > 0) row.gflops = flopsOf(work) / best / 1e6;
      if (best && bytesOf(work) > 0) row.gigabytes = bytesOf(work) / best / 1e6;
    }
    return { name, threads: this.threads, work, load: os.loadavg()[0]!, rows: [...rows.values()] };
  }

  /** Opens it again if it has ended; its first results, compared with ours. */
  private async prepare(
    player: Player,
    work: Work,
    quick: boolean,
    ours: Float32Array[] | undefined,
  ): Promise<{ row: Row; results?: Float32Array[] }> {
    const contender = player.entry.name;
    const opened = await this.openOne(player);
    if (!opened.ok) return { row: { contender, state: "failed", error: opened.error } };
    const expected = (player.pace.get(modelOf(work)) ?? 0) * flopsOf(work);
    if (expected > this.limitMs) {
      const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;
      const error = `by its pace with a smaller batch a call takes ${seconds(expected)}, and the limit is ${seconds(this.limitMs)}`;
      return { row: { contender, state: "failed", error } };
    }
    const file = path.join(os.tmpdir(), `vlm-bench-${process.pid}.bin`);
    const reply = await player.channel.ask({ do: "prepare", work, file, quick }, 2 * this.limitMs);
    if (!reply.ok) return { row: { contender, state: reply.offered ? "failed" : "not offered", error: reply.error } };
    const results = readResults(file);
    rmSync(file);
    const { firstMs, kernels } = reply;
    const row: Row = {
      contender,
      state: "measured",
      ...(player.threads !== undefined && { threads: player.threads }),
      difference: difference(results, ours ?? results),
      ...(firstMs !== undefined && { firstMs }),
      ...(kernels !== undefined && { kernels }),
    };
    if (!(row.difference! <= TOLERANCE[work.mode])) {
      row.state = "differs";
      row.error = `differs from our result by ${row.difference!.toExponential(1)}`;
    }
    return { row, results };
  }

  /** Windows of all in turn, each round beginning with another. */
  private async measure(ready: readonly Player[], rows: Map<Player, Row>, pace: Pace): Promise<void> {
    const taken = new Map(ready.map((player) => [player, { samples: [] as number[], cpu: [] as number[], spent: 0 }]));
    for (const player of ready) {
      if (rows.get(player)!.firstMs! > NO_WARMUP) continue;
      await player.channel.ask({ do: "measure", milliseconds: Math.min(250, pace.window) });
    }
    for (let round = 0; round < pace.rounds; round++) {
      for (let i = 0; i < ready.length; i++) {
        const player = ready[(i + round) % ready.length]!;
        const own = taken.get(player)!;
        // Whoever needs many windows' time for a call leaves after two calls, or one: a run would take hours.
        const enough = own.samples[0]! > ONE_CALL ? 1 : 2;
        if (own.spent > 3 * pace.rounds * pace.window && own.samples.length >= enough) continue;
        const start = performance.now();
        const reply = await player.channel.ask({ do: "measure", milliseconds: pace.window });
        own.spent += performance.now() - start;
        if (reply.ok) {
          own.samples.push(...(reply.samples ?? []));
          own.cpu.push(...(reply.cpu ?? []));
        } else rows.set(player, { contender: player.entry.name, state: "failed", error: reply.error });
      }
    }
    for (const [player, { samples, cpu }] of taken) {
      const row = rows.get(player)!;
      if (row.state !== "measured" || samples.length === 0) continue;
      row.time = summaryOf(samples);
      if (cpu.length > 0) row.cpu = summaryOf(cpu);
    }
  }

  async close(): Promise<void> {
    for (const { channel } of this.players) await channel.close();
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
