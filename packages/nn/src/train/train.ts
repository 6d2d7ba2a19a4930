import { isVlmError, random, type Tensor, tensor, VlmError } from "@vlm/core";
import type { Module } from "../module/module.ts";
import type { EMA } from "../optimizers/ema.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import { Batches } from "./batches.ts";
import type { CheckpointOptions, CheckpointStore } from "./checkpoint-store.ts";
import type { DataSource } from "./data-source.ts";
import { GuardedStep, keyOfBatch, type Loss, lossIn, type StepReport } from "./guarded-step.ts";
import { explain } from "./non-finite.ts";
import { ownTerminal, ProgressBar, type TrainProgress } from "./progress.ts";
import { RunCells } from "./run-state.ts";

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
   * When loss or gradient is not finite: stop with a `NonFiniteError` that names the place (default), or leave the
   * update out and go on. Nothing is written in either case.
   */
  onNonFinite?: "throw" | "skip";
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
  /** Updates left out because something was not finite. */
  skipped: number;
};

/**
 * Trains a model and owns all state that resuming needs: parameters, buffers, moments, averages, step, key and the
 * data's position. A run that is interrupted at any point and started again with the same arguments gives the losses
 * and parameters of one that was not, bit for bit, on the same device.
 *
 * Throws `NonFiniteError TRAIN_LOSS` or `TRAIN_GRADIENT`, `DataError BATCH_FAILED`, `CheckpointError`, what the loss
 * throws, and an `AbortError`.
 */
export async function train<B>(options: TrainOptions<B>): Promise<TrainResult> {
  check(options);
  const checkpoint = checkpointOf(options.checkpoint);
  try {
    return await new Run(options, checkpoint).run();
  } finally {
    await checkpoint?.store.close?.();
  }
}

type Submitted<B> = { step: number; batches: readonly B[]; read(): Promise<StepReport> };

/** One call of `train`. */
class Run<B> {
  private readonly options: TrainOptions<B>;
  private readonly checkpoint: CheckpointOptions | undefined;
  private readonly cells: RunCells;
  private readonly batches: Batches<B>;
  private readonly bar: ProgressBar | null;
  private readonly result: TrainResult = { step: 0, loss: Number.NaN, resumedFrom: null, skipped: 0 };
  /** Steps per second, counted from here. */
  private began = { step: 0, time: 0 };
  private saved = { step: -1, time: 0 };
  private reported: StepReport | null = null;

  constructor(options: TrainOptions<B>, checkpoint: CheckpointOptions | undefined) {
    this.options = options;
    this.checkpoint = checkpoint;
    this.cells = new RunCells(options.model, options.optimizer, options.ema, options.key ?? random.key(0));
    this.batches = new Batches(options.data, options.signal);
    const terminal = ownTerminal();
    this.bar = terminal && (options.progressBar ?? !options.onProgress) ? new ProgressBar(terminal) : null;
  }

  async run(): Promise<TrainResult> {
    const { steps, signal, accumulate = 1 } = this.options;
    if (signal?.aborted) throw abortError(signal);
    await this.resume();
    this.began = { step: this.result.step, time: performance.now() };
    this.saved.time = performance.now();
    const { model, optimizer, ema, loss, onNonFinite = "throw" } = this.options;
    const parts = { model, optimizer, ema, loss, key: this.cells.key, halt: onNonFinite === "throw" };
    const step = new GuardedStep(parts, accumulate);
    // One step is read while the next one runs.
    let running: Submitted<B> | null = null;
    try {
      for (let at = this.result.step; at < steps; at++) {
        if (signal?.aborted) throw abortError(signal);
        const batches = await this.batches.take(accumulate);
        const { read } = await step.run(batches, at);
        const before: Submitted<B> | null = running;
        running = { step: at, batches, read };
        if (before) await this.settle(before);
        this.batches.done();
        if (!this.dueAfter(at + 1)) continue;
        await this.settle(running);
        running = null;
        await this.pause(at + 1);
      }
    } catch (error) {
      if (isVlmError(error) && error.name === "NonFiniteError") throw error;
      if (running) await this.settle(running);
      await this.save();
      throw signal?.aborted && !isVlmError(error) ? abortError(signal) : error;
    } finally {
      this.bar?.end();
      await this.batches.close();
    }
    return this.result;
  }

  private async resume(): Promise<void> {
    const found = await this.checkpoint?.store.latest();
    if (!found) return;
    const position = await this.cells.restore(found);
    this.batches.restore(position);
    this.result.step = this.result.resumedFrom = this.saved.step = found.step;
  }

  /** Waits for a step and reports it. */
  private async settle({ step, batches, read }: Submitted<B>): Promise<void> {
    const report = await read();
    if (!report.ok) {
      if (this.options.onNonFinite !== "skip") throw await this.incident(step, batches, report);
      this.result.skipped++;
    }
    this.result.step = step + 1;
    this.result.loss = report.loss;
    this.tell(report);
  }

  private tell(report: StepReport, evaluation?: Record<string, number>): void {
    const { steps, onProgress } = this.options;
    const { step } = this.result;
    const seconds = (performance.now() - this.began.time) / 1000;
    const stepsPerSecond = (step - this.began.step) / seconds;
    const { loss, learningRate, gradientNorm, metrics } = report;
    const rates = { stepsPerSecond, secondsLeft: (steps - step) / stepsPerSecond };
    const progress = { step, steps, loss, learningRate, gradientNorm, metrics, ...rates };
    this.reported = report;
    onProgress?.(evaluation ? { ...progress, evaluation } : progress);
    this.bar?.show(evaluation ? { ...progress, evaluation } : progress);
  }

  private async incident(step: number, batches: readonly B[], report: StepReport): Promise<VlmError> {
    const { model, loss } = this.options;
    const key = (index: number): Tensor =>
      keyOfBatch(this.cells.key.value, tensor(step, { dtype: "i32" }), tensor(index, { dtype: "i32" }));
    const { loss: value, learningRate, gradientNorm } = report;
    const incident = { step, loss: value, learningRate, gradientNorm };
    let error: VlmError | null = null;
    for (const [i, batch] of batches.entries()) {
      error = await explain(incident, model, batch, key(i), (given) => lossIn(loss(given)));
      if (error.where) break;
    }
    return error!;
  }

  /** Whether something is to be done between this step and the next. */
  private dueAfter(done: number): boolean {
    return done === this.options.steps || this.evaluationDue(done) || this.saveDue(done);
  }

  private evaluationDue(done: number): boolean {
    const every = this.options.evaluate?.every;
    return every !== undefined && (done % every === 0 || done === this.options.steps);
  }

  private saveDue(done: number): boolean {
    if (!this.checkpoint) return false;
    const { steps, minutes = steps === undefined ? 10 : Number.POSITIVE_INFINITY } = this.checkpoint;
    const late = performance.now() - this.saved.time >= minutes * 60_000;
    return late || done === this.options.steps || (steps !== undefined && done % steps === 0);
  }

  private async pause(done: number): Promise<void> {
    const { evaluate } = this.options;
    if (this.saveDue(done)) await this.save(done === this.options.steps);
    if (evaluate && this.evaluationDue(done)) this.tell(this.reported!, await evaluate.run(done));
  }

  /** Saves the steps done. A disk that is full for now does not end the run, except at its end. */
  private async save(last = false): Promise<void> {
    const { step } = this.result;
    if (!this.checkpoint || this.saved.step === step) return;
    try {
      await this.checkpoint.store.save(step, this.cells.snapshot(step, this.batches.position));
      this.saved = { step, time: performance.now() };
    } catch (error) {
      if (last || !isVlmError(error) || error.name !== "StorageError") throw error;
      this.saved.time = performance.now();
      const warn = this.options.onWarning ?? console.warn;
      warn(`train: step ${step} could not be saved and will be tried again later: ${error.message}`);
    }
  }
}

function checkpointOf(given: CheckpointStore | CheckpointOptions | undefined): CheckpointOptions | undefined {
  return given && "save" in given ? { store: given } : given;
}

function check<B>({ steps, accumulate = 1, data, checkpoint, evaluate }: TrainOptions<B>): void {
  const wrong = (what: string, hint: string): VlmError => new VlmError("ArgumentError", "TRAIN_OPTION", { what, hint });
  const whole = (name: string, value: number): void => {
    if (Number.isSafeInteger(value) && value >= 1) return;
    throw wrong(`train: ${name} is ${value}`, "it is a whole number, at least 1");
  };
  whole("steps", steps);
  whole("accumulate", accumulate);
  if (evaluate) whole("evaluate.every", evaluate.every);
  if (checkpoint && !("save" in checkpoint) && checkpoint.steps !== undefined)
    whole("checkpoint.steps", checkpoint.steps);
  if (checkpoint && !("state" in data && "restore" in data)) {
    throw wrong("train: the data have no position, and checkpoints need one", "give them state() and restore()");
  }
}

/** An `AbortError`, whatever the reason was. */
function abortError(signal: AbortSignal): Error {
  const { reason } = signal;
  if (reason instanceof DOMException && reason.name === "AbortError") return reason;
  const error = new DOMException("the training was aborted", "AbortError");
  return Object.assign(error, { cause: reason });
}
