/** The cells of a run, under the names that checkpoints use. */
import { Cell, commit, type Tensor, VlmError, zeros } from "@vlm/core";
import { loadState } from "../module/load-state.ts";
import type { Module } from "../module/module.ts";
import type { EMA } from "../optimizers/ema.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import type { RunState } from "./checkpoint-store.ts";
import type { LossScale } from "./loss-scale.ts";

const FORMAT = 1;

/** Parts of a state that a run may do without, or begin afresh. */
const OPTIONAL = ["lossScale/", "rollback/"];

/** Where a run goes back to, and how often it has. */
export type Kept = { step: number; times: number };

type Json = { format: number; step: number; data: unknown; rollback?: Kept };

/** What a run is made of. */
export type RunParts = {
  model: Module;
  optimizer: Optimizer;
  ema: EMA | undefined;
  key: Tensor;
  scale: LossScale | undefined;
  /** Holds a second copy of the state, to go back to. */
  rollback: boolean;
};

export class RunCells {
  /** The key that every step's key is made from. */
  readonly key: Cell;
  /** The state that `goBack` returns to; null before the first `keep`. */
  kept: Kept | null = null;
  private readonly cells = new Map<string, Cell>();
  private readonly copies = new Map<string, Cell>();

  constructor({ model, optimizer, ema, key, scale, rollback }: RunParts) {
    this.key = new Cell(key, { owner: "train" });
    this.cells.set("key", this.key);
    for (const [path, { cell }] of model.stateDict()) this.cells.set(`model/${path}`, cell);
    for (const [name, cell] of optimizer.cells(model.trainable())) this.cells.set(`optimizer/${name}`, cell);
    for (const [name, cell] of ema?.cells() ?? []) this.cells.set(`ema/${name}`, cell);
    for (const [name, cell] of scale?.cells() ?? []) this.cells.set(`lossScale/${name}`, cell);
    if (!rollback) return;
    for (const [name, { shape, dtype }] of this.cells) {
      this.copies.set(`rollback/${name}`, new Cell(zeros(shape, dtype), { owner: "rollback" }));
    }
  }

  /** The values now, to be saved before the next step frees them. */
  snapshot(step: number, data: unknown): RunState {
    const tensors = new Map([...this.cells, ...this.copies].map(([name, cell]) => [name, cell.value]));
    const json: Json = { format: FORMAT, step, data, ...(this.kept && { rollback: this.kept }) };
    return { tensors, json };
  }

  /** Copies the state after `step`, to go back to. */
  async keep(step: number): Promise<void> {
    for (const [name, cell] of this.cells) this.copies.get(`rollback/${name}`)!.assign(cell.value);
    this.kept = { step, times: 0 };
    await commit();
  }

  /** Makes the kept state the current one; gives its step. */
  async goBack(): Promise<number> {
    for (const [name, cell] of this.cells) cell.assign(this.copies.get(`rollback/${name}`)!.value);
    this.kept = { step: this.kept!.step, times: this.kept!.times + 1 };
    await commit();
    return this.kept.step;
  }

  /**
   * Takes over a saved state, all or nothing; gives the data source's position. Throws `CheckpointError
   * CHECKPOINT_MISMATCH` for a run of another model or optimiser, with the differences.
   */
  async restore(state: RunState & { step: number }): Promise<unknown> {
    const json = state.json as Partial<Json> | null;
    if (json?.format !== FORMAT || json.step !== state.step) {
      throw new VlmError("CheckpointError", "CHECKPOINT_FORMAT", {
        what: `the checkpoint of step ${state.step} says format ${json?.format}, step ${json?.step}`,
        hint: `this version reads format ${FORMAT}; its parts must be of one step`,
      });
    }
    const all = new Map([...this.cells, ...this.copies]);
    // A run may resume with scaling or rollback turned on or off: a group that is not in both begins afresh.
    const fresh = OPTIONAL.filter((group) => namesIn(all, group) !== namesIn(state.tensors, group));
    const counts = ([name]: readonly [string, unknown]): boolean => !fresh.some((group) => name.startsWith(group));
    try {
      const cells = new Map([...all].filter(counts));
      await loadState("checkpoint", cells, [...state.tensors].filter(counts), {});
    } catch (cause) {
      throw new VlmError("CheckpointError", "CHECKPOINT_MISMATCH", {
        what: `the checkpoint of step ${state.step} is of another model or optimiser`,
        hint: cause instanceof Error ? cause.message : String(cause),
        cause,
      });
    }
    await commit();
    if (!fresh.includes("rollback/")) this.kept = json.rollback ?? null;
    return json.data;
  }
}

const namesIn = (names: ReadonlyMap<string, unknown>, group: string): string =>
  [...names.keys()]
    .filter((name) => name.startsWith(group))
    .sort()
    .join();
