import { type Tensor, VlmError } from "@vlm/core";
import type { Module } from "../module/module.ts";
import type { EMA } from "../optimizers/ema.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import type { CheckpointOptions, CheckpointStore } from "./checkpoint-store.ts";
import type { DataSource } from "./data-source.ts";
import type { Loss } from "./guarded-step.ts";
import type { LossScaleOptions } from "./loss-scale.ts";
import type { TrainProgress } from "./progress.ts";

/** What `train` trains, on what, how long, and what it tells meanwhile. */
export type TrainOptions<B> = {
  model: Module;
  optimizer: Optimizer;
  /** Batches. To be resumed, they must have a position. */
  data: DataSource<B> | AsyncIterable<B> | Iterable<B>;
  /** Of one batch: a scalar, or `{ loss, …metrics }`. Layers are in training mode and draw from a key of the step. */
  loss: (batch: B) => Loss;
  /** How many updates in all, those before resuming included. */
  steps: number;
  /** Where all randomness of the run comes from. Default `random.key(0)`. */
  key?: Tensor;
  /** Batches per update, whose gradients are averaged. Default 1. */
  accumulate?: number;
  /** Averages to keep up to date. */
  ema?: EMA;
  /** Where to save, and when: a store alone saves every ten minutes. The run goes on from the newest one there. */
  checkpoint?: CheckpointStore | CheckpointOptions;
  /** Measures the model now and then, and after the last step. */
  evaluate?: {
    /** Steps from one measurement to the next. */
    every: number;
    /** Results by name. */
    run: (step: number) => Promise<Record<string, number>>;
  };
  /**
   * When loss or gradient is not finite, nothing is written, and the run stops with a `NonFiniteError` that names the
   * place (default), leaves the update out and goes on, or goes back to an earlier state and on from there with later
   * data.
   */
  onNonFinite?: "throw" | "skip" | "rollback";
  /** For `onNonFinite: "rollback"`, which holds a second copy of the whole state on the device. */
  rollback?: {
    /** Steps from one kept state to the next. Default 100. */
    every?: number;
    /** Returns to one kept state before the run stops after all. Default 3. */
    attempts?: number;
  };
  /**
   * Scales the loss so that f16 gradients do not round to 0, and adjusts the factor by itself (`true`, or how). An
   * update whose gradients overflow is left out. For models in f16; f32 and bf16 do not need it.
   */
  lossScale?: boolean | LossScaleOptions;
  /** Called after every step, and once more with the results where `evaluate` ran. */
  onProgress?: (progress: TrainProgress) => void;
  /** Draws a line in the terminal. Default: if there is one and no `onProgress`. */
  progressBar?: boolean;
  /** Default `console.warn`. */
  onWarning?: (message: string) => void;
  /** Stops between two steps, saves, and throws an `AbortError`. */
  signal?: AbortSignal;
};

/** What a finished run has to say. */
export type TrainResult = {
  /** Steps done in all. */
  step: number;
  /** Loss of the last step; NaN when there was nothing left to do. */
  loss: number;
  /** Step of the checkpoint that the run went on from; null for a fresh run. */
  resumedFrom: number | null;
  /** Updates left out: gradients overflowed, or something was not finite. */
  skipped: number;
  /** Times that the run went back to a kept state. */
  rollbacks: number;
};

/** The store, and when to save. */
export function checkpointOf(given: CheckpointStore | CheckpointOptions | undefined): CheckpointOptions | undefined {
  return given && "save" in given ? { store: given } : given;
}

/** Throws `ArgumentError TRAIN_OPTION` for what makes no sense. */
export function checkOptions<B>(options: TrainOptions<B>): void {
  const { steps, accumulate = 1, data, checkpoint, evaluate, rollback = {}, onNonFinite } = options;
  const wrong = (what: string, hint: string): VlmError => new VlmError("ArgumentError", "TRAIN_OPTION", { what, hint });
  const whole = (name: string, value: number | undefined): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return;
    throw wrong(`train: ${name} is ${value}`, "it is a whole number, at least 1");
  };
  whole("steps", steps);
  whole("accumulate", accumulate);
  whole("evaluate.every", evaluate?.every);
  whole("rollback.every", rollback.every);
  whole("rollback.attempts", rollback.attempts);
  const { steps: every, minutes } = checkpointOf(checkpoint) ?? {};
  whole("checkpoint.steps", every);
  if (minutes !== undefined && !(minutes > 0)) {
    throw wrong(`train: checkpoint.minutes is ${minutes}`, "it is a number above 0");
  }
  if (options.rollback && onNonFinite !== "rollback") {
    throw wrong("train: `rollback` has no effect", 'set onNonFinite: "rollback"');
  }
  if (checkpoint && !("state" in data && "restore" in data)) {
    throw wrong("train: the data have no position, and checkpoints need one", "give them state() and restore()");
  }
}
