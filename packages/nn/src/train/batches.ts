import { isVlmError, VlmError } from "@vlm/core";
import type { DataSource } from "./data-source.ts";

/** Batches one epoch after the other, and the position that belongs to the steps done. */
export class Batches<B> {
  private readonly data: DataSource<B> | AsyncIterable<B> | Iterable<B>;
  private readonly signal: AbortSignal | undefined;
  private iterator: AsyncIterator<B> | Iterator<B> | null = null;
  private count = 0;
  /** Of the epoch under way. */
  private given = 0;
  /** The source's position after the last step that was submitted. */
  position: unknown = null;

  constructor(data: DataSource<B> | AsyncIterable<B> | Iterable<B>, signal: AbortSignal | undefined) {
    this.data = data;
    this.signal = signal;
    this.done();
  }

  /** The batches of the next step. */
  async take(count: number): Promise<B[]> {
    const batches: B[] = [];
    while (batches.length < count) batches.push(await this.next());
    return batches;
  }

  /** Says that the batches taken belong to a submitted step. */
  done(): void {
    if ("state" in this.data) this.position = this.data.state();
  }

  restore(position: unknown): void {
    (this.data as DataSource<B>).restore(position);
    this.position = position;
  }

  async close(): Promise<void> {
    // A source that waits for a batch that never comes must not hold up the end.
    if (this.iterator?.return)
      await Promise.race([this.iterator.return(), new Promise((done) => setTimeout(done, 50))]);
  }

  private async next(): Promise<B> {
    for (let empty = 0; empty < 2; empty++) {
      this.iterator ??= iteratorOf(this.data);
      const { done, value } = await this.pull(this.iterator);
      if (!done) {
        this.count++;
        this.given++;
        return value;
      }
      this.iterator = null;
      if (this.given > 0) empty = -1;
      this.given = 0;
    }
    throw new VlmError("DataError", "DATA_EMPTY", {
      what: `train: the data gave no batch${this.count > 0 ? ` after the first ${this.count}` : ""}`,
      hint: "a source can be iterated again for each epoch; a generator object cannot",
    });
  }

  private async pull(iterator: AsyncIterator<B> | Iterator<B>): Promise<IteratorResult<B>> {
    const { signal } = this;
    let stop: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal?.reason);
      signal?.addEventListener("abort", stop, { once: true });
    });
    try {
      return await Promise.race([iterator.next(), aborted]);
    } catch (cause) {
      if (isVlmError(cause) || signal?.aborted) throw cause;
      throw new VlmError("DataError", "BATCH_FAILED", {
        what: `train: batch ${this.count} could not be made: ${cause instanceof Error ? cause.message : String(cause)}`,
        hint: "parameters are those of the last step done",
        cause,
      });
    } finally {
      if (stop) signal?.removeEventListener("abort", stop);
    }
  }
}

function iteratorOf<B>(data: AsyncIterable<B> | Iterable<B>): AsyncIterator<B> | Iterator<B> {
  return Symbol.asyncIterator in data ? data[Symbol.asyncIterator]() : data[Symbol.iterator]();
}
