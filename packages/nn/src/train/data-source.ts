import { VlmError } from "@vlm/core";

/**
 * Batches with a position. `for await` goes on where the last one, or `restore`, left off, to the end of an epoch;
 * `train` begins the next epoch by itself. A batch holds tensors in plain objects and arrays.
 */
export interface DataSource<B> extends AsyncIterable<B> {
  /** Where the source stands, as JSON: everything up to the last batch handed out is behind it. */
  state(): unknown;
  /** Goes to a saved position. */
  restore(state: unknown): void;
}

/** Options of `Examples`. */
export type ExamplesOptions = {
  /** Examples in a batch. */
  batch: number;
  /** A seed: another order in each epoch, the same on every machine. Without it the order given. */
  shuffle?: number;
  /** Leaves out a last batch that is not full. Default true: every batch has the same shape. */
  dropLast?: boolean;
};

type Position = { epoch: number; next: number; count: number };

/** A data source of examples in memory, which `collate` makes batches of. */
export class Examples<E, B> implements DataSource<B> {
  private readonly examples: readonly E[];
  private readonly collate: (examples: E[]) => B;
  private readonly options: ExamplesOptions;
  private epoch = 0;
  private next = 0;

  constructor(examples: readonly E[], collate: (examples: E[]) => B, options: ExamplesOptions) {
    this.examples = examples;
    this.collate = collate;
    this.options = options;
    const { batch, dropLast = true } = options;
    const enough = examples.length >= (dropLast ? batch : 1);
    if (Number.isInteger(batch) && batch >= 1 && enough) return;
    throw new VlmError("ArgumentError", "EXAMPLES", {
      what: `Examples: ${examples.length} examples in batches of ${batch}`,
      hint: "there must be at least one batch; dropLast: false keeps a short one",
    });
  }

  state(): Position {
    return { epoch: this.epoch, next: this.next, count: this.examples.length };
  }

  restore(state: unknown): void {
    const { epoch, next, count } = (state ?? {}) as Partial<Position>;
    const fits = [epoch, next].every((n) => Number.isSafeInteger(n) && n! >= 0) && count === this.examples.length;
    if (!fits) {
      throw new VlmError("CheckpointError", "DATA_STATE", {
        what: `Examples: a position among ${count} examples does not fit ${this.examples.length}`,
        hint: "resume with the data that the run began with",
      });
    }
    this.epoch = epoch!;
    this.next = next!;
  }

  /** Batches from the position where the last loop stopped. */
  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, undefined> {
    const { batch, dropLast = true, shuffle } = this.options;
    const count = this.examples.length;
    const order = shuffle === undefined ? null : shuffled(count, shuffle, this.epoch);
    const last = dropLast ? count - batch : count - 1;
    while (this.next <= last) {
      const at = Array.from({ length: Math.min(batch, count - this.next) }, (_, i) => this.next + i);
      this.next += batch;
      if (this.next > last) {
        this.next = 0;
        this.epoch++;
        yield this.collate(at.map((i) => this.examples[order ? order[i]! : i]!));
        return;
      }
      yield this.collate(at.map((i) => this.examples[order ? order[i]! : i]!));
    }
  }
}

/** 0 … n − 1 in the order of an epoch (Fisher and Yates), from a hash of seed, epoch and position. */
function shuffled(n: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((hash(hash(hash(seed >>> 0) + epoch) + i) / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** The finaliser of MurmurHash3, which spreads every bit over all others. */
function hash(x: number): number {
  let h = Math.imul((x + 0x9e3779b9) ^ ((x + 0x9e3779b9) >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
