import { VlmError } from "@vlm/core";
import { describe, expect, it } from "vitest";
import { type DataOptions, DataSet } from "../src/data/data-set.ts";
import type { DataState } from "../src/data/data-state.ts";
import { caught } from "./files.ts";

const bad = (n: number): VlmError => new VlmError("ImageDecodeError", "IM_CORRUPT", { what: `item ${n} is broken` });

/** Numbers 0 to n - 1 as a data set; batches are arrays. */
function numbers(
  n: number,
  options: DataOptions = {},
  load: (item: number) => number | Promise<number> = (item) => item,
) {
  const items = Array.from({ length: n }, (_, i) => i);
  return new DataSet<number, number, number[]>(
    { items, load: (item) => load(item), collate: (samples) => samples },
    options,
  );
}

async function take(data: AsyncIterable<number[]>, count = Infinity): Promise<number[][]> {
  const batches: number[][] = [];
  if (count === 0) return batches;
  for await (const batch of data) {
    batches.push(batch);
    if (batches.length === count) break;
  }
  return batches;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("order", () => {
  it("is the source's, in batches, the last one short unless dropped", async () => {
    expect(await take(numbers(7, { batch: 3 }))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(await take(numbers(7, { batch: 3, dropLast: true }))).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
  });

  it("is kept when samples take different times", async () => {
    const data = numbers(20, { batch: 4, concurrency: 5 }, async (item) => {
      await sleep((item * 7) % 11);
      return item;
    });
    expect((await take(data)).flat()).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("of a seed is the same each time, another in each epoch, and holds every sample once", async () => {
    const data = numbers(30, { batch: 30, shuffle: 5, epochs: 3 });
    const epochs = await take(data);
    expect(await take(numbers(30, { batch: 30, shuffle: 5, epochs: 3 }))).toEqual(epochs);
    expect(new Set(epochs.map(String)).size).toBe(3);
    for (const epoch of epochs)
      expect([...epoch].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(await take(numbers(30, { batch: 30, shuffle: 6 }))).not.toEqual([epochs[0]]);
  });

  it("gives each sample a key that depends on seed, epoch and sample alone", async () => {
    const keys = async (options: DataOptions): Promise<Map<number, string>> => {
      const seen = new Map<number, string>();
      const data = new DataSet<number, number, number[]>(
        {
          items: [10, 11, 12, 13],
          load: (item, { key }) => {
            seen.set(item, String(key));
            return item;
          },
          collate: (samples) => samples,
        },
        options,
      );
      await take(data);
      return seen;
    };
    const plain = await keys({ key: 3 });
    expect(new Set(plain.values()).size).toBe(4);
    expect(await keys({ key: 3, shuffle: 8, batch: 3, concurrency: 1 })).toEqual(plain);
    expect(await keys({ key: 4 })).not.toEqual(plain);
  });
});

describe("position", () => {
  it("restored at any batch goes on exactly there, through JSON, over epochs", async () => {
    const options = { batch: 4, shuffle: 2, epochs: 3 };
    const all = await take(numbers(10, options));
    for (let done = 0; done < all.length; done++) {
      const first = numbers(10, options);
      await take(first, done);
      const state = JSON.parse(JSON.stringify(first.state())) as DataState;
      const second = numbers(10, { ...options, epochs: 3 - state.epoch });
      second.restore(state);
      expect(await take(second)).toEqual(all.slice(done));
    }
  });

  it("counts what was handed out, not what was read ahead", async () => {
    const data = numbers(100, { batch: 5, prefetch: 6 });
    await take(data, 2);
    expect(data.state()).toEqual({ version: 1, epoch: 0, position: 10, shuffle: null, size: 100 });
  });

  it("a loop that breaks is continued by the next", async () => {
    const data = numbers(6, { batch: 2 });
    expect(await take(data, 1)).toEqual([[0, 1]]);
    expect(await take(data)).toEqual([
      [2, 3],
      [4, 5],
    ]);
    expect(await take(data, 1)).toEqual([[0, 1]]);
  });

  it("a resumed rest without a whole batch leads on to the next epoch", async () => {
    const data = numbers(5, { batch: 2, dropLast: true });
    data.restore({ version: 1, epoch: 0, position: 4, shuffle: null, size: 5 });
    expect(await take(data)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(data.state().epoch).toBe(2);
  });

  it("of other data, another order or no position at all is refused and changes nothing", async () => {
    const data = numbers(10, { shuffle: 1 });
    await data.size();
    const before = data.state();
    const cases: [unknown, string, RegExp][] = [
      [{ ...before, size: 11 }, "DATA_STATE_SIZE", /11 samples, now there are 10/],
      [{ ...before, shuffle: [0, 2] }, "DATA_STATE_ORDER", /another shuffle key/],
      [{ ...before, position: -1 }, "DATA_STATE", /no saved position/],
      [{ ...before, version: 2 }, "DATA_STATE", /no saved position/],
      [null, "DATA_STATE", /no saved position/],
    ];
    for (const [state, code, message] of cases) {
      const error = await caught(() => data.restore(state as DataState));
      expect([error.name, error.code]).toEqual(["CheckpointError", code]);
      expect(error.message).toMatch(message);
    }
    expect(data.state()).toEqual(before);
    const late = numbers(10, { shuffle: 1 });
    late.restore({ ...before, size: 9 });
    expect((await caught(() => take(late))).code).toBe("DATA_STATE_SIZE");
  });
});

describe("work", () => {
  it("runs on as many samples as may be at a time, and no more batches ahead than asked", async () => {
    let active = 0;
    let most = 0;
    let started = 0;
    const data = numbers(60, { batch: 2, concurrency: 3, prefetch: 1 }, async (item) => {
      started++;
      most = Math.max(most, ++active);
      await sleep(1);
      active--;
      return item;
    });
    for await (const batch of data) {
      await sleep(10);
      // The batch in hand, one ahead, and the one being made.
      expect(started).toBeLessThanOrEqual(batch[0]! + 2 * 3);
    }
    expect(most).toBe(3);
  });

  it("stops reading when the loop breaks", async () => {
    let started = 0;
    const data = numbers(1000, { batch: 1, concurrency: 2, prefetch: 3 }, (item) => {
      started++;
      return item;
    });
    await take(data, 1);
    const then = started;
    await sleep(5);
    expect(started).toBe(then);
    expect(started).toBeLessThan(10);
  });

  it("a second loop, or restore, during a loop is refused", async () => {
    const data = numbers(4);
    for await (const _ of data) {
      expect((await caught(() => take(data))).code).toBe("DATA_BUSY");
      const error = await caught(() => data.restore(data.state()));
      expect([error.name, error.code]).toEqual(["ConcurrencyError", "DATA_BUSY"]);
      break;
    }
    expect((await take(data)).length).toBe(3);
  });

  it("a cancelled signal ends waiting at once, even for a sample that never comes", async () => {
    const controller = new AbortController();
    const data = numbers(5, { signal: controller.signal }, () => new Promise<number>(() => undefined));
    setTimeout(() => controller.abort(), 10);
    expect((await caught(() => take(data))).name).toBe("AbortError");
  });
});

describe("broken samples", () => {
  const load = (item: number): number => {
    if (item % 3 === 1) throw bad(item);
    return item;
  };

  it("throw at their place by default; the loop can go on behind the last batch", async () => {
    const data = numbers(9, { batch: 1 }, load);
    const seen: number[][] = [];
    const error = await caught(async () => {
      for await (const batch of data) seen.push(batch);
    });
    expect([error.code, seen]).toEqual(["IM_CORRUPT", [[0]]]);
    expect(data.state().position).toBe(1);
  });

  it("are left out and counted on request; batches stay full", async () => {
    const data = numbers(9, { batch: 4, onError: "skip" }, load);
    expect(await take(data)).toEqual([
      [0, 2, 3, 5],
      [6, 8],
    ]);
    expect(data.skipped.count).toBe(3);
    expect(data.skipped.byCode).toEqual({ IM_CORRUPT: 3 });
    expect(data.skipped.first[1]).toMatchObject({ sample: "sample 4", code: "IM_CORRUPT" });
  });

  it("resume with the same batches although some were skipped", async () => {
    const options = { batch: 2, onError: "skip" as const, shuffle: 9 };
    const all = await take(numbers(12, options, load));
    const first = numbers(12, options, load);
    await take(first, 2);
    const second = numbers(12, options, load);
    second.restore(first.state());
    expect(await take(second)).toEqual(all.slice(2));
  });

  it("a programming fault is never skipped", async () => {
    const data = numbers(3, { onError: "skip" }, () => {
      throw new TypeError("oops");
    });
    expect((await caught(() => take(data))).name).toBe("TypeError");
  });

  it("when all are broken, or there are none, says so instead of looping over nothing", async () => {
    const none = await caught(() => take(numbers(0)));
    expect([none.name, none.code]).toEqual(["DataError", "DATA_EMPTY"]);
    const data = numbers(4, { onError: "skip", epochs: Infinity }, (item) => {
      throw bad(item);
    });
    const all = await caught(() => take(data));
    expect(all.code).toBe("DATA_ALL_SKIPPED");
    expect(all.message).toMatch(/4 samples: 4 × IM_CORRUPT/);
    expect((await caught(() => take(numbers(2, { batch: 3, dropLast: true })))).code).toBe("DATA_ALL_SKIPPED");
  });

  it("impossible options are refused at once", async () => {
    for (const options of [{ batch: 0 }, { batch: 1.5 }, { concurrency: 0 }, { prefetch: -1 }, { epochs: 0 }]) {
      const error = await caught(() => numbers(3, options));
      expect([error.name, error.code]).toEqual(["ArgumentError", "DATA_OPTION"]);
    }
    expect((await caught(() => numbers(3, { shuffle: 0.5 }))).code).toBe("IM_KEY");
  });
});
