import { isVlmError, random, type Tensor, tensor, type VlmError } from "@vlm/core";
import { Batches, type Taken } from "./batches.ts";
import { CheckpointSaver } from "./checkpoint-saver.ts";
import type { CheckpointOptions, RunState } from "./checkpoint-store.ts";
import { GuardedStep, keyOfBatch, lossIn, type StepReport } from "./guarded-step.ts";
import { LossScale } from "./loss-scale.ts";
import { explain } from "./non-finite.ts";
import { ownTerminal, ProgressBar, Reporter } from "./progress.ts";
import { RunCells } from "./run-state.ts";
import { checkOptions, checkpointOf, type TrainOptions, type TrainResult } from "./train-options.ts";

/**
 * Trains a model and owns all state that resuming needs: parameters, buffers, moments, averages, step, key, loss scale
 * and the data's position. A run that is interrupted at any point and started again with the same arguments gives the
 * losses and parameters of one that was not, bit for bit, on the same device.
 *
 * Throws `NonFiniteError` (`TRAIN_LOSS`, `TRAIN_GRADIENT`, `LOSS_SCALE`), `DataError` (`BATCH_FAILED`, `BATCH_SHAPE`),
 * `ArgumentError` (`TRAIN_OPTION`, `NO_BATCHES`), `CheckpointError`, what the loss throws, and an `AbortError`.
 */
export async function train<B>(options: TrainOptions<B>): Promise<TrainResult> {
  checkOptions(options);
  const checkpoint = checkpointOf(options.checkpoint);
  try {
    return await new Run(options, checkpoint).run();
  } finally {
    await checkpoint?.store.close?.();
  }
}

type Submitted<B> = Taken<B> & { readonly step: number; read(): Promise<StepReport> };

/** One call of `train`. */
class Run<B> {
  private readonly options: TrainOptions<B>;
  private readonly checkpoint: CheckpointOptions | undefined;
  private readonly scale: LossScale | undefined;
  private readonly cells: RunCells;
  private readonly batches: Batches<B>;
  private readonly saver: CheckpointSaver;
  private readonly reporter: Reporter;
  private readonly result: TrainResult = { step: 0, loss: Number.NaN, resumedFrom: null, skipped: 0, rollbacks: 0 };
  /** The data's position that belongs to the steps submitted. */
  private position: unknown;

  constructor(options: TrainOptions<B>, checkpoint: CheckpointOptions | undefined) {
    const { model, optimizer, ema, key = random.key(0), lossScale, onNonFinite } = options;
    this.options = options;
    this.checkpoint = checkpoint;
    this.scale = lossScale ? new LossScale(lossScale === true ? {} : lossScale) : undefined;
    const rollback = onNonFinite === "rollback";
    this.cells = new RunCells({ model, optimizer, ema, key, scale: this.scale, rollback });
    this.batches = new Batches(options.data, options.signal);
    this.position = this.batches.position;
    this.saver = new CheckpointSaver(checkpoint, (message) => this.warn(message));
    const terminal = ownTerminal();
    this.reporter = new Reporter({
      steps: options.steps,
      scaled: this.scale !== undefined,
      callback: options.onProgress,
      bar: terminal && (options.progressBar ?? !options.onProgress) ? new ProgressBar(terminal) : null,
    });
  }

  async run(): Promise<TrainResult> {
    const { signal, model, optimizer, ema, loss, accumulate = 1, onNonFinite = "throw" } = this.options;
    if (signal?.aborted) throw abortError(signal);
    await this.begin();
    const halt = onNonFinite !== "skip";
    const { scale } = this;
    const step = new GuardedStep({ model, optimizer, ema, loss, key: this.cells.key, scale, halt }, accumulate);
    try {
      await this.loop(step, accumulate);
    } finally {
      this.reporter.end();
      await this.batches.close();
    }
    return this.result;
  }

  /** Goes on from the newest checkpoint, if there is one. */
  private async begin(): Promise<void> {
    const found = await this.checkpoint?.store.latest();
    if (found) {
      this.position = await this.cells.restore(found);
      this.batches.restore(this.position);
      this.result.step = this.result.resumedFrom = found.step;
    }
    if (this.options.onNonFinite === "rollback" && !this.cells.kept) await this.cells.keep(this.result.step);
    this.saver.begin(this.result.resumedFrom);
    this.reporter.begin();
  }

  /** Submits steps; one is read while the next one runs. */
  private async loop(step: GuardedStep<B>, accumulate: number): Promise<void> {
    const { steps, signal } = this.options;
    let running: Submitted<B> | null = null;
    try {
      for (let at = this.result.step; at < steps; ) {
        if (signal?.aborted) throw abortError(signal);
        const taken = await this.batches.take(accumulate);
        const { read } = await step.run(taken.batches, at).catch((error) => {
          throw this.batches.blame(error, taken.batches);
        });
        const before: Submitted<B> | null = running;
        running = { ...taken, step: at, read };
        this.position = taken.position;
        at++;
        let wentBack = before ? !(await this.settle(before)) : false;
        if (wentBack) {
          // The step after the bad one wrote nothing: its batches are the next ones.
          await running.read();
          this.batches.giveBack(running);
          running = null;
        } else if (this.dueAfter(at)) {
          const due = running;
          running = null;
          if (await this.settle(due)) await this.pause(at);
          else wentBack = true;
        }
        if (wentBack) {
          at = this.result.step;
          await step.proceed();
        }
      }
    } catch (error) {
      if (!(isVlmError(error) && error.name === "NonFiniteError")) await this.stop(running);
      throw signal?.aborted && !isVlmError(error) ? abortError(signal) : error;
    }
  }

  /** Waits for a step and reports it. False when the run went back to an earlier one. */
  private async settle({ step, batches, position, read }: Submitted<B>): Promise<boolean> {
    const report = await read();
    const { onNonFinite, rollback: { attempts = 3 } = {} } = this.options;
    if (report.outcome === "incident" && onNonFinite !== "skip") {
      const error = await this.incident(step, batches, report);
      const { kept } = this.cells;
      if (onNonFinite !== "rollback" || kept!.times >= attempts) throw error;
      this.result.step = await this.cells.goBack();
      this.result.rollbacks++;
      this.position = position;
      this.warn(`train: back to step ${this.result.step}, and on with later data, since ${error.message}`);
      return false;
    }
    if (report.outcome !== "written") this.result.skipped++;
    this.result.step = step + 1;
    this.result.loss = report.loss;
    this.reporter.step(this.result.step, report);
    return true;
  }

  private async incident(step: number, batches: readonly B[], report: StepReport): Promise<VlmError> {
    const { model, loss } = this.options;
    const key = (index: number): Tensor =>
      keyOfBatch(this.cells.key.value, tensor(step, { dtype: "i32" }), tensor(index, { dtype: "i32" }));
    const { loss: value, learningRate, gradientNorm, lossScale } = report;
    const overflows = this.scale?.options.attempts;
    const incident = { step, loss: value, learningRate, gradientNorm, lossScale, overflows };
    let error: VlmError | null = null;
    for (const [i, batch] of batches.entries()) {
      error = await explain(incident, model, batch, key(i), (given) => lossIn(loss(given)));
      if (error.where) break;
    }
    return error!;
  }

  /** Whether something is to be done between this step and the next. */
  private dueAfter(done: number): boolean {
    return done === this.options.steps || this.evaluationDue(done) || this.saver.due(done) || this.keepDue(done);
  }

  private evaluationDue(done: number): boolean {
    const every = this.options.evaluate?.every;
    return every !== undefined && (done % every === 0 || done === this.options.steps);
  }

  private keepDue(done: number): boolean {
    return this.cells.kept !== null && done % (this.options.rollback?.every ?? 100) === 0;
  }

  private async pause(done: number): Promise<void> {
    const { evaluate, steps } = this.options;
    if (this.keepDue(done)) await this.cells.keep(done);
    const last = done === steps;
    if (last || this.saver.due(done)) await this.saver.save(done, this.state, last);
    if (evaluate && this.evaluationDue(done)) this.reporter.evaluation(await evaluate.run(done));
  }

  /** Saves what was done when the run ends early. Whatever goes wrong here is not why it ends. */
  private async stop(running: Submitted<B> | null): Promise<void> {
    try {
      if (running) await this.settle(running);
      await this.saver.save(this.result.step, this.state);
    } catch (error) {
      if (isVlmError(error) && error.name === "NonFiniteError") throw error;
      this.warn(`train: the state of step ${this.result.step} was not saved: ${String(error)}`);
    }
  }

  private readonly state = (): RunState => this.cells.snapshot(this.result.step, this.position);

  private warn(message: string): void {
    (this.options.onWarning ?? console.warn)(message);
  }
}

/** An `AbortError`, whatever the reason was. */
function abortError(signal: AbortSignal): Error {
  const { reason } = signal;
  if (reason instanceof DOMException && reason.name === "AbortError") return reason;
  const error = new DOMException("the training was aborted", "AbortError");
  return Object.assign(error, { cause: reason });
}
