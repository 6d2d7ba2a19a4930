import type { Tensor } from "@vlm/core";

/** What a run needs to go on. */
export type RunState = {
  /** Parameters, buffers, moments, averages and key, by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Everything else, as JSON. */
  readonly json: unknown;
};

/**
 * Where `train` keeps checkpoints. `checkpoints(folder)` of @vlm/weights is one. A store writes whole or not at all:
 * what was there before stays until the new one is complete.
 */
export interface CheckpointStore {
  /** The newest complete checkpoint, or undefined when there is none. Called once, before the first step. */
  latest(): Promise<(RunState & { readonly step: number }) | undefined>;
  /** Keeps the state after `step`. */
  save(step: number, state: RunState): Promise<void>;
  /** Called when the run is over, also after an error. */
  close?(): Promise<void>;
}

/** Where a run is saved, and when. */
export type CheckpointOptions = {
  store: CheckpointStore;
  /** Saves after this many steps. */
  steps?: number;
  /** Saves after this many minutes. Default 10, if `steps` is not given. */
  minutes?: number;
};
