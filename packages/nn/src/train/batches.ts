import { isVlmError, Tensor, VlmError } from "@vlm/core";
import type { DataSource } from "./data-source.ts";

/** The batches of one step, and the source's position after them (null where it has none). */
export type Taken<B> = { readonly batches: readonly B[]; readonly position: unknown };

/** Batches one epoch after the other. */
export class Batches<B> {
  private readonly data: DataSource<B> | AsyncIterable<B> | Iterable<B>;
  private readonly signal: AbortSignal | undefined;
  private iterator: AsyncIterator<B> | Iterator<B> | null = null;
  private count = 0;
  /** Of the epoch under way. */
  private given = 0;
  /** Taken and given back: the next ones. */
  private returned: Taken<B> | null = null;
  /** Shapes in the first batch. */
  private form: string | null = null;

  constructor(data: DataSource<B> | AsyncIterable<B> | Iterable<B>, signal: AbortSignal | undefined) {
    this.data = data;
    this.signal = signal;
  }

  /** Where the source stands. */
  get position(): unknown {
    return "state" in this.data ? this.data.state() : null;
  }

  /** The batches of the next step. */
  async take(count: number): Promise<Taken<B>> {
    const { returned } = this;
    this.returned = null;
    if (returned) return returned;
    const batches: B[] = [];
    while (batches.length < count) batches.push(await this.next());
    this.form ??= formOf(batches[0]);
    return { batches, position: this.position };
  }

  /** Puts back what was taken last: `take` gives it once more. */
  giveBack(taken: Taken<B>): void {
    this.returned = taken;
  }

  /** The error of a step, with the batch to blame when one has other shapes than the first batch had. */
  blame(error: unknown, batches: readonly B[]): unknown {
    const at = batches.findIndex((batch) => formOf(batch) !== this.form);
    if (at < 0) return error;
    const number = this.count - batches.length + at;
    return new VlmError("DataError", "BATCH_SHAPE", {
      what: `train: batch ${number} is ${formOf(batches[at])}, the first one was ${this.form}, and the step failed: ${error instanceof Error ? error.message : String(error)}`,
      hint: "parameters are those of the last step done",
      details: { batch: number },
      cause: error,
    });
  }

  restore(position: unknown): void {
    (this.data as DataSource<B>).restore(position);
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
    throw new VlmError("ArgumentError", "NO_BATCHES", {
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
        details: { batch: this.count },
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

/** Dtypes and shapes of what a batch holds: `{ x: f32 [4 3], y: f32 [4 1] }`. */
function formOf(value: unknown): string {
  if (value instanceof Tensor) return `${value.dtype} [${value.shape.join(" ")}]`;
  if (Array.isArray(value)) return `[${value.map(formOf).join(", ")}]`;
  if (typeof value !== "object" || value === null) return typeof value;
  const parts = Object.entries(value).map(([name, part]) => `${name}: ${formOf(part)}`);
  return `{ ${parts.join(", ")} }`;
}
