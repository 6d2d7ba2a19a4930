import type { Tensor } from "@vlm/core";
import { type DataSource, type TrainOptions, train } from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import { type Batch, exampleData, exampleRun } from "./example-run.ts";
import { memoryStore, values } from "./run-store.ts";

beforeAll(testDevice);

/** The example's data without end, where some batches, counted from the start of the run, hold no numbers. */
function poisonedData(bad: (index: number) => boolean): DataSource<Batch> {
  const inner = exampleData();
  let given = 0;
  return {
    state: () => ({ inner: inner.state(), given }),
    restore(state) {
      const position = state as { inner: unknown; given: number };
      inner.restore(position.inner);
      given = position.given;
    },
    async *[Symbol.asyncIterator]() {
      for await (const batch of inner) yield bad(given++) ? { ...batch, y: batch.y.mul(Number.NaN) } : batch;
    },
  };
}

/** The batches of the example, in order. */
async function batches(count: number): Promise<Batch[]> {
  const found: Batch[] = [];
  const data = exampleData();
  while (found.length < count) for await (const batch of data) found.push(batch);
  return found.slice(0, count);
}

const rollback = (bad: (index: number) => boolean): Partial<TrainOptions<Batch>> & { warnings: string[] } => {
  const warnings: string[] = [];
  return {
    data: poisonedData(bad),
    onNonFinite: "rollback",
    rollback: { every: 4 },
    onWarning: (text) => warnings.push(text),
    warnings,
  };
};

describe("going back", () => {
  it("R1: leads to the kept state and on with later data, as if the bad stretch had not been there", async () => {
    const run = await exampleRun(12);
    const options = rollback((index) => index === 6);
    const seen: number[] = [];
    const result = await train({
      ...run,
      ...options,
      onProgress: ({ step, loss }) => {
        seen.push(step);
        run.losses[step - 1] = loss;
      },
    });
    expect(result).toMatchObject({ step: 12, rollbacks: 1, skipped: 0 });
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(options.warnings).toEqual([
      expect.stringMatching(/^train: back to step 4, and on with later data, since \[TRAIN_LOSS\] the loss became NaN/),
    ]);
    expect(options.warnings[0]).toContain("in the batch.y");
    const all = await batches(16);
    const plain = await exampleRun(12);
    await train({ ...plain, data: [...all.slice(0, 4), ...all.slice(7, 15)] });
    expect(run.losses).toEqual(plain.losses);
    expect(await values(run.model)).toEqual(await values(plain.model));
    expect(await run.optimizer.steps.value.item()).toBe(12);
  });

  it.each([1, 2])(
    "R14: is exact when the run is stopped at every step, accumulating %i batches",
    async (accumulate) => {
      const bad = (index: number): boolean => index === 6 || index === 13;
      const whole = await exampleRun(11);
      const store = memoryStore();
      await train({ ...whole, ...rollback(bad), accumulate, checkpoint: { store, steps: 100 } });
      const stopped = memoryStore();
      let rollbacks = 0;
      let last = await exampleRun(1);
      for (let upTo = 1; upTo <= 11; upTo++) {
        last = await exampleRun(upTo);
        const result = await train({
          ...last,
          ...rollback(bad),
          accumulate,
          checkpoint: { store: stopped, steps: 100 },
        });
        rollbacks += result.rollbacks;
      }
      expect(rollbacks).toBe(2);
      expect(await values(last.model)).toEqual(await values(whole.model));
      expect(stopped.saves.at(-1)!.state.json).toEqual(store.saves.at(-1)!.state.json);
    },
  );

  it("R14: is exact when the run is aborted while the bad step is under way", async () => {
    const bad = (index: number): boolean => index === 6;
    const whole = await exampleRun(9);
    await train({ ...whole, ...rollback(bad) });
    const store = memoryStore();
    const abort = new AbortController();
    const first = await exampleRun(9);
    const stopped = train({
      ...first,
      ...rollback(bad),
      checkpoint: { store, steps: 100 },
      signal: abort.signal,
      onProgress: ({ step }) => {
        // The bad step has been submitted by now.
        if (step === 6) abort.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(store.saves.map(({ step }) => step)).toEqual([4]);
    const second = await exampleRun(9);
    await train({ ...second, ...rollback(bad), checkpoint: { store, steps: 100 } });
    expect(await values(second.model)).toEqual(await values(whole.model));
  });

  it("ends in the error when it does not help", async () => {
    const run = await exampleRun(20);
    const options = rollback((index) => index >= 6);
    const atFour = await exampleRun(4);
    await train(atFour);
    await expect(
      train({ ...run, ...options, rollback: { every: 4, attempts: 2 }, checkpoint: memoryStore() }),
    ).rejects.toMatchObject({ name: "NonFiniteError", code: "TRAIN_LOSS", details: { step: 4 } });
    expect(options.warnings).toHaveLength(2);
    expect(await values(run.model)).toEqual(await values(atFour.model));
  });

  it("can be turned on for a run that stopped", async () => {
    const bad = (index: number): boolean => index === 6;
    const store = memoryStore();
    const checkpoint = { store, steps: 5 };
    const first = await exampleRun(12);
    await expect(train({ ...first, data: poisonedData(bad), checkpoint })).rejects.toMatchObject({
      name: "NonFiniteError",
    });
    const second = await exampleRun(12);
    const result = await train({ ...second, ...rollback(bad), checkpoint });
    // There was nothing older to go back to than the state it began from.
    expect(result).toMatchObject({ step: 12, resumedFrom: 5, rollbacks: 1 });
    const third = await exampleRun(14);
    expect(await train({ ...third, data: poisonedData(bad), checkpoint })).toMatchObject({ step: 14, resumedFrom: 12 });
  });
});

it("undoes what layers wrote for a step of several batches that is left out", async () => {
  const run = await exampleRun(3);
  const two = await exampleRun(2);
  const all = await batches(4);
  await train({ ...two, accumulate: 2, data: all });
  const bad = { ...all[3]!, y: all[3]!.y.mul(Number.NaN) };
  const stopped = train({ ...run, accumulate: 2, data: [...all, all[2]!, bad] });
  await expect(stopped).rejects.toMatchObject({ name: "NonFiniteError", details: { step: 2 } });
  expect(await values(run.model)).toEqual(await values(two.model));
});

it("undoes them too when the second batch of a step cannot be used", async () => {
  const run = await exampleRun(3);
  const two = await exampleRun(2);
  const all = await batches(6);
  await train({ ...two, accumulate: 2, data: all });
  const wide = { x: all[5]!.x.reshape([3, -1]), y: all[5]!.y } as { x: Tensor; y: Tensor };
  const store = memoryStore();
  const data = poisonedData(() => false);
  const source: DataSource<Batch> = {
    state: data.state,
    restore: data.restore,
    async *[Symbol.asyncIterator]() {
      yield* [...all.slice(0, 5), wide];
    },
  };
  await expect(train({ ...run, accumulate: 2, data: source, checkpoint: store })).rejects.toMatchObject({
    name: "DataError",
    code: "BATCH_SHAPE",
    message: expect.stringContaining("batch 5 is { x: f32 [3 4], y: f32 [4 1] }, the first one was { x: f32 [4 3]"),
    cause: { name: "ShapeError" },
  });
  expect(await values(run.model)).toEqual(await values(two.model));
  expect(store.saves.map(({ step }) => step)).toEqual([2]);
});
