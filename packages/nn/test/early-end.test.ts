import { currentContext, VlmError } from "@vlm/core";
import { type CheckpointStore, train } from "@vlm/nn";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { testDevice } from "./device.ts";
import { exampleData, exampleRun, type Net } from "./example-run.ts";
import { memoryStore, values } from "./run-store.ts";

beforeAll(testDevice);

describe("the place of the checkpoints", () => {
  it.each([
    ["R10", new VlmError("StorageError", "EROFS", { what: "read-only" })],
    ["R11", new VlmError("CheckpointError", "CK_NONE_VALID", { what: "none of 2 checkpoints is whole" })],
    ["R20", new VlmError("ConcurrencyError", "CK_LOCKED", { what: "another run writes here" })],
  ])("%s: is tried before the first step, and given up", async (_, error) => {
    let closed = 0;
    const store: CheckpointStore = {
      latest: () => Promise.reject(error),
      save: () => Promise.reject(error),
      close: async () => void closed++,
    };
    const run = await exampleRun(3);
    const before = await values(run.model);
    await expect(train({ ...run, checkpoint: store })).rejects.toBe(error);
    expect([run.losses, closed]).toEqual([[], 1]);
    expect(await values(run.model)).toEqual(before);
  });

  it("saves after minutes", async () => {
    const store = memoryStore();
    const run = await exampleRun(9);
    let now = 1000;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    try {
      // Every step takes a minute of this clock.
      await train({ ...run, checkpoint: { store, minutes: 3 }, onProgress: () => void (now += 60_000) });
    } finally {
      clock.mockRestore();
    }
    const saved = store.saves.map(({ step }) => step);
    expect(saved.at(-1)).toBe(9);
    // One step is under way when a save falls due.
    for (const [i, step] of saved.slice(0, -1).entries()) expect(step - (saved[i - 1] ?? 0)).toBeGreaterThanOrEqual(3);
    expect(saved.length).toBeGreaterThanOrEqual(3);
  });

  it("R8, R16: an abort while it is written to does not spoil it", async () => {
    const inner = memoryStore();
    const abort = new AbortController();
    const store: CheckpointStore = {
      latest: () => inner.latest(),
      async save(step, state) {
        abort.abort();
        await inner.save(step, state);
      },
    };
    const run = await exampleRun(6);
    await expect(train({ ...run, checkpoint: { store, steps: 2 }, signal: abort.signal })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(inner.saves.map(({ step }) => step)).toEqual([2]);
    const [whole, again] = [await exampleRun(6), await exampleRun(6)];
    await train(whole);
    await train({ ...again, checkpoint: inner });
    expect(await values(again.model)).toEqual(await values(whole.model));
  });
});

describe("a run that ends early", () => {
  it("R16: submits at most one more step after an abort, and the model is usable", async () => {
    const abort = new AbortController();
    const run = await exampleRun(50);
    let taken = 0;
    let takenAtAbort = 0;
    const source = exampleData();
    const data = {
      state: () => source.state(),
      restore: (state: unknown) => source.restore(state),
      async *[Symbol.asyncIterator]() {
        for await (const batch of source) {
          taken++;
          yield batch;
        }
      },
    };
    const store = memoryStore();
    const stopped = train({
      ...run,
      data,
      checkpoint: store,
      signal: abort.signal,
      onProgress: ({ step }) => {
        if (step !== 7) return;
        takenAtAbort = taken;
        abort.abort("first");
        abort.abort("second");
      },
    });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError", cause: "first" });
    expect(taken - takenAtAbort).toBeLessThanOrEqual(1);
    expect(store.saves).toHaveLength(1);
    expect(Number.isFinite(await exampleLoss(run.model))).toBe(true);
  });

  it("R17: an abort after the end is nothing", async () => {
    const abort = new AbortController();
    const run = await exampleRun(2);
    const result = await train({ ...run, signal: abort.signal });
    abort.abort();
    expect(result.step).toBe(2);
    expect(Number.isFinite(await exampleLoss(run.model))).toBe(true);
  });

  it("R21: an evaluation that throws leaves the model as it is, in its mode, and is saved before", async () => {
    const run = await exampleRun(6);
    const store = memoryStore();
    const before = await exampleRun(4);
    await train(before);
    const failed = train({
      ...run,
      checkpoint: store,
      evaluate: {
        every: 4,
        run: () =>
          run.ema!.during(async () => {
            throw new Error("the metric broke");
          }),
      },
    });
    await expect(failed).rejects.toThrow("the metric broke");
    expect(currentContext().training).toBe(false);
    expect(await values(run.model)).toEqual(await values(before.model));
    expect(store.saves.map(({ step }) => step)).toEqual([4]);
  });

  it("does not replay a batch when a callback throws", async () => {
    const whole = await exampleRun(8);
    await train(whole);
    const store = memoryStore();
    const first = await exampleRun(8);
    const stopped = train({
      ...first,
      checkpoint: store,
      onProgress: ({ step }) => {
        if (step === 4) throw new Error("a callback broke");
      },
    });
    await expect(stopped).rejects.toThrow("a callback broke");
    const second = await exampleRun(8);
    await train({ ...second, checkpoint: store });
    expect(await values(second.model)).toEqual(await values(whole.model));
  });
});

/** The loss of a model on the first batch, out of training. */
async function exampleLoss(model: Net): Promise<number> {
  for await (const { x, y } of exampleData()) return x.pipe(model).sub(y).square().mean().item();
  return Number.NaN;
}
