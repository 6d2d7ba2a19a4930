import { isVlmError, type VlmError } from "@vlm/core";
import { foldKey, keyWords, permutation, type RandomKey } from "../random.ts";
import { dataError } from "./data-error.ts";
import { checkState, type DataState, sizeChanged } from "./data-state.ts";
import { readAhead } from "./read-ahead.ts";

/** What `load` is told about the sample it is to make. */
export type SampleContext = {
  /** Number of the item in the source, whatever the order. */
  index: number;
  epoch: number;
  /** A random key of this sample in this epoch: the same however the data are shuffled, batched or resumed. */
  key: RandomKey;
  signal: AbortSignal | undefined;
};

/** Options of every data set. */
export type DataOptions = {
  /** Samples in a batch; default 1. */
  batch?: number;
  /** A seed or key: another order in each epoch, the same on every machine. Without it the source's order. */
  shuffle?: RandomKey;
  /** Key of what `augment` draws; default the shuffle key, or 0. */
  key?: RandomKey;
  /** Leave out a last batch that is not full; default false. */
  dropLast?: boolean;
  /** How many passes one `for await` makes; default 1. `Infinity` never ends. */
  epochs?: number;
  /**
   * Samples that are loaded at the same time; default 4. Files are read and decoded in the platform's own threads
   * meanwhile; what is left to this thread is a few milliseconds a picture.
   */
  concurrency?: number;
  /** Batches that are made ahead of the one in use; default 2. No more are: a slow consumer holds the readers back. */
  prefetch?: number;
  /** A sample that cannot be read: throw (default), or leave it out and count it in `skipped`. */
  onError?: "throw" | "skip";
  signal?: AbortSignal;
};

/** What was left out with `onError: "skip"`. */
export type Skipped = {
  count: number;
  byCode: Record<string, number>;
  /** The first twenty, to look at. */
  first: { sample: string; code: string; message: string }[];
};

/** How a data set is made. */
export type DataSetParts<Item, Sample, Batch> = {
  /** All items, cheap to hold: paths, rows; read once, at the first use. */
  items: readonly Item[] | ((data: { skip: (sample: string, error: VlmError) => void }) => Promise<readonly Item[]>);
  /** Makes one sample; runs ahead, several at a time. */
  load: (item: Item, context: SampleContext) => Sample | Promise<Sample>;
  /** Makes a batch of samples. */
  collate: (samples: Sample[]) => Batch;
  /** A name of an item for messages. */
  name?: (item: Item) => string;
};

/**
 * Batches as an async iterable with a position: `for await` goes on where the last one, or `restore`, left off, to the
 * end of the epoch. Order, contents and random changes depend on the keys alone.
 */
export class DataSet<Item, Sample, Batch> implements AsyncIterable<Batch> {
  readonly #parts: DataSetParts<Item, Sample, Batch>;
  readonly #options: Required<Omit<DataOptions, "shuffle" | "key" | "signal">> & DataOptions;
  #items: Promise<readonly Item[]> | undefined;
  #size = 0;
  #epoch = 0;
  #position = 0;
  #running = false;
  #skipped: Skipped = { count: 0, byCode: {}, first: [] };

  constructor(parts: DataSetParts<Item, Sample, Batch>, options: DataOptions = {}) {
    const defaults = { batch: 1, dropLast: false, epochs: 1, concurrency: 4, prefetch: 2, onError: "throw" as const };
    this.#options = { ...defaults, ...options };
    this.#parts = parts;
    for (const name of ["batch", "concurrency", "epochs", "prefetch"] as const) {
      const value = this.#options[name];
      const whole = Number.isInteger(value) || (name === "epochs" && value === Infinity);
      if (!whole || value < (name === "prefetch" ? 0 : 1)) {
        throw dataError(
          "ArgumentError",
          "DATA_OPTION",
          `${name} is ${value}`,
          "data set",
          "it is a whole number, at least 1",
        );
      }
    }
    if (options.shuffle !== undefined) keyWords(options.shuffle);
  }

  /** Samples left out so far. */
  get skipped(): Skipped {
    return this.#skipped;
  }

  /** Number of samples in an epoch, skipped ones included; lists the source when that has not happened. */
  async size(): Promise<number> {
    return (await this.#list()).length;
  }

  /** The position, to be saved with a checkpoint: everything up to the last batch handed out is behind it. */
  state(): DataState {
    const { shuffle } = this.#options;
    const ended = this.#size > 0 && this.#position >= this.#size;
    return {
      version: 1,
      epoch: ended ? this.#epoch + 1 : this.#epoch,
      position: ended ? 0 : this.#position,
      shuffle: shuffle === undefined ? null : [...keyWords(shuffle)],
      size: this.#size,
    };
  }

  /**
   * Goes to a saved position.
   * @throws `CheckpointError` when the state is of another data set, order or version; the position is then unchanged
   */
  restore(state: DataState): void {
    if (this.#running) throw this.#busy("restore");
    checkState(state, this.state());
    this.#epoch = state.epoch;
    this.#position = state.position;
    this.#size = this.#size || state.size;
  }

  /** All samples of the rest of the epoch, one after the other. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    if (this.#running) throw this.#busy("iterate");
    this.#running = true;
    try {
      const items = await this.#list();
      for (let pass = 0; pass < this.#options.epochs; pass++) {
        const resumed = this.#position > 0;
        const batches = yield* this.#epochBatches(items);
        this.#epoch++;
        this.#position = 0;
        // What was left of a resumed epoch held no whole batch: that was no pass.
        if (batches === 0 && resumed) pass--;
      }
    } finally {
      this.#running = false;
    }
  }

  async *#epochBatches(items: readonly Item[]): AsyncGenerator<Batch, number, undefined> {
    const { batch, concurrency, dropLast, prefetch, shuffle, signal } = this.#options;
    const order = shuffle === undefined ? undefined : permutation(foldKey(shuffle, this.#epoch), items.length);
    const epoch = this.#epoch;
    const epochKey = foldKey(this.#options.key ?? shuffle ?? 0, epoch);
    const ahead = readAhead(
      (number) => {
        const index = order?.[number] ?? number;
        return this.#parts.load(items[index]!, { index, epoch, key: foldKey(epochKey, index), signal });
      },
      { from: this.#position, end: items.length, concurrency, window: (prefetch + 1) * batch },
    );
    let samples: Sample[] = [];
    const start = this.#position;
    let batches = 0;
    try {
      for (let at = this.#position; at < items.length; at++) {
        const loaded = await abortable(ahead.next(), signal);
        if (loaded.ok) samples.push(loaded.sample);
        else this.#skip(this.#nameOf(items[order?.[at] ?? at]!, order?.[at] ?? at), loaded.error);
        if (samples.length < batch) continue;
        const full = this.#parts.collate(samples);
        samples = [];
        this.#position = at + 1;
        batches++;
        yield full;
      }
      if (samples.length > 0 && !dropLast) {
        this.#position = items.length;
        batches++;
        yield this.#parts.collate(samples);
      }
    } finally {
      ahead.stop();
    }
    if (batches === 0 && start === 0) throw this.#nothingLeft(items.length);
    return batches;
  }

  #list(): Promise<readonly Item[]> {
    if (this.#items === undefined) {
      const { items } = this.#parts;
      const skip = (sample: string, error: VlmError): void => this.#skip(sample, error);
      this.#items = (typeof items === "function" ? items({ skip }) : Promise.resolve(items)).then((list) => {
        if (this.#size !== 0 && this.#size !== list.length) throw sizeChanged(this.#size, list.length);
        if (list.length === 0) {
          throw dataError("DataError", "DATA_EMPTY", "there is not one sample", "data set", "check the folder or file");
        }
        this.#size = list.length;
        return list;
      });
      // A failed listing may be tried again.
      this.#items.catch(() => {
        this.#items = undefined;
      });
    }
    return this.#items;
  }

  #nameOf(item: Item, index: number): string {
    return this.#parts.name?.(item) ?? `sample ${index}`;
  }

  #skip(sample: string, error: unknown): void {
    const aborted = error instanceof Error && error.name === "AbortError";
    if (this.#options.onError === "throw" || aborted || !isVlmError(error)) throw error;
    this.#skipped.count++;
    this.#skipped.byCode[error.code] = (this.#skipped.byCode[error.code] ?? 0) + 1;
    if (this.#skipped.first.length < 20) {
      this.#skipped.first.push({ sample, code: error.code, message: error.message });
    }
  }

  #busy(what: string): VlmError {
    return dataError(
      "ConcurrencyError",
      "DATA_BUSY",
      `cannot ${what}: a loop over this data set is running`,
      "data set",
      "it has one position; make a second data set for a second loop",
    );
  }

  #nothingLeft(size: number): VlmError {
    const codes = Object.entries(this.#skipped.byCode).map(([code, count]) => `${count} × ${code}`);
    const reason = codes.length > 0 ? codes.join(", ") : "the last batch is not full and dropLast is set";
    return dataError(
      "DataError",
      "DATA_ALL_SKIPPED",
      `not one batch came out of ${size} samples: ${reason}`,
      "data set",
      "see data.skipped.first, or make batch smaller",
    );
  }
}

/** Waits for a result or for the signal, whichever comes first. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let cancel: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    cancel = () => reject(signal.reason);
    signal.addEventListener("abort", cancel, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", cancel!);
  }
}
