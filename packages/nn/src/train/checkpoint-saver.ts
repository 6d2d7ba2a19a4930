import { isVlmError } from "@vlm/core";
import type { CheckpointOptions, RunState } from "./checkpoint-store.ts";

/** Saves a run from time to time. */
export class CheckpointSaver {
  private readonly options: CheckpointOptions | undefined;
  private readonly warn: (message: string) => void;
  /** The step of the last save, and when the clock of the next one began. */
  private saved = { step: -1, time: performance.now() };

  constructor(options: CheckpointOptions | undefined, warn: (message: string) => void) {
    this.options = options;
    this.warn = warn;
  }

  /** Says where the run begins: that state is not saved again. */
  begin(resumedFrom: number | null): void {
    this.saved = { step: resumedFrom ?? -1, time: performance.now() };
  }

  /** Whether the state after `done` steps is to be saved. */
  due(done: number): boolean {
    if (!this.options) return false;
    const { steps, minutes = steps === undefined ? 10 : Number.POSITIVE_INFINITY } = this.options;
    const late = performance.now() - this.saved.time >= minutes * 60_000;
    return late || (steps !== undefined && done % steps === 0);
  }

  /** Saves the state after `step`, once. A disk that is full for now does not end the run, unless it is the last save. */
  async save(step: number, state: () => RunState, last = false): Promise<void> {
    if (!this.options || this.saved.step === step) return;
    try {
      await this.options.store.save(step, state());
      this.saved = { step, time: performance.now() };
    } catch (error) {
      if (last || !isVlmError(error) || error.name !== "StorageError") throw error;
      this.saved.time = performance.now();
      this.warn(`train: step ${step} could not be saved and will be tried again later: ${error.message}`);
    }
  }
}
