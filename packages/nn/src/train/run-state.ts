/** The cells of a run, under the names that checkpoints use. */
import { Cell, commit, type Tensor, VlmError } from "@vlm/core";
import { loadState } from "../module/load-state.ts";
import type { Module } from "../module/module.ts";
import type { EMA } from "../optimizers/ema.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import type { RunState } from "./checkpoint-store.ts";

const FORMAT = 1;

type Json = { format: number; step: number; data: unknown };

export class RunCells {
  /** The key that every step's key is made from. */
  readonly key: Cell;
  private readonly cells = new Map<string, Cell>();

  constructor(model: Module, optimizer: Optimizer, ema: EMA | undefined, key: Tensor) {
    this.key = new Cell(key, { owner: "train" });
    this.cells.set("key", this.key);
    for (const [path, { cell }] of model.stateDict()) this.cells.set(`model/${path}`, cell);
    for (const [name, cell] of optimizer.cells(model.trainable())) this.cells.set(`optimizer/${name}`, cell);
    for (const [name, cell] of ema?.cells() ?? []) this.cells.set(`ema/${name}`, cell);
  }

  /** The values now, to be saved before the next step frees them. */
  snapshot(step: number, data: unknown): RunState {
    const tensors = new Map([...this.cells].map(([name, cell]) => [name, cell.value]));
    return { tensors, json: { format: FORMAT, step, data } satisfies Json };
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
    try {
      await loadState("checkpoint", this.cells, state.tensors, {});
    } catch (cause) {
      throw new VlmError("CheckpointError", "CHECKPOINT_MISMATCH", {
        what: `the checkpoint of step ${state.step} is of another model or optimiser`,
        hint: cause instanceof Error ? cause.message : String(cause),
        cause,
      });
    }
    await commit();
    return json.data;
  }
}
