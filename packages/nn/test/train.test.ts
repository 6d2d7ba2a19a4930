import { memory, type Tensor, tensor, useDevice, VlmError } from "@vlm/core";
import { type CheckpointStore, Linear, Module, SGD, type TrainProgress, train } from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { progressLine } from "../src/train/progress.ts";
import { testDevice } from "./device.ts";
import { exampleData, exampleRun, type Net } from "./example-run.ts";
import { memoryStore, values } from "./run-store.ts";

beforeAll(testDevice);

describe("train", () => {
  it("makes the loss smaller and reports each step", async () => {
    const seen: TrainProgress[] = [];
    const run = await exampleRun(40);
    const result = await train({ ...run, onProgress: (progress) => seen.push(progress) });
    expect(result).toMatchObject({ step: 40, resumedFrom: null, skipped: 0 });
    expect(seen.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    const mean = (part: TrainProgress[]): number => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    expect(mean(seen.slice(30))).toBeLessThan(mean(seen.slice(0, 10)) / 2);
    expect(seen[0]!.learningRate).toBeCloseTo(0.005, 6);
    expect(seen[0]!.gradientNorm).toBeGreaterThan(0);
  });

  it("gives metrics, and what was measured in between", async () => {
    const seen: TrainProgress[] = [];
    const run = await exampleRun(6);
    await train({
      ...run,
      loss: (batch) => ({ loss: run.loss(batch) as Tensor, largest: batch.y.max() }),
      evaluate: { every: 4, run: async (step) => ({ at: step }) },
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.filter(({ evaluation }) => evaluation).map(({ evaluation }) => evaluation)).toEqual([
      { at: 4 },
      { at: 6 },
    ]);
    expect(Object.keys(seen[0]!.metrics)).toEqual(["largest"]);
  });

  it("averages the gradients of several batches", async () => {
    class Scale extends Module {
      readonly linear = new Linear(1, 1, { bias: false });
      forward(x: Tensor): Tensor {
        return x.pipe(this.linear);
      }
    }
    const model = new Scale();
    await model.load({ "linear.weight": tensor([[1]]) });
    const batches = [1, 2, 3, 6].map((x) => tensor([[x]]));
    const losses: number[] = [];
    await train({
      model,
      optimizer: new SGD(model, { lr: 0.1 }),
      data: batches,
      loss: (x) => x.pipe(model).sum(),
      steps: 2,
      accumulate: 2,
      onProgress: ({ loss }) => losses.push(loss),
    });
    // Gradients are the means 1.5 and 4.5.
    expect(await model.linear.weight.item()).toBeCloseTo(1 - 0.15 - 0.45, 6);
    expect(losses[0]).toBeCloseTo(1.5, 6);
    expect(losses[1]).toBeCloseTo(4.5 * 0.85, 6);
  });
});

it("keeps nothing of the steps that are done", async () => {
  const run = await exampleRun(300);
  const bytes: number[] = [];
  const sample = async (): Promise<Record<string, number>> => {
    bytes.push(memory().byOwner.parameters!.bytes);
    return {};
  };
  await train({ ...run, evaluate: { every: 100, run: sample } });
  expect(bytes).toEqual([bytes[0], bytes[0], bytes[0]]);
  for (const [owner, { tensors }] of Object.entries(memory().byOwner)) {
    if (owner !== "inputs") expect(tensors, owner).toBeLessThan(200);
  }
});

describe("resuming", () => {
  it.each([1, 3])("is exact at every step, accumulating %i batches", async (accumulate) => {
    const steps = accumulate === 1 ? 12 : 5;
    const whole = await exampleRun(steps);
    await train({ ...whole, accumulate });
    const store = memoryStore();
    const losses: number[] = [];
    let model: Net | undefined;
    for (let upTo = 1; upTo <= steps; upTo++) {
      const run = await exampleRun(upTo);
      const result = await train({ ...run, accumulate, checkpoint: { store, steps: 1 } });
      expect(result.resumedFrom).toBe(upTo === 1 ? null : upTo - 1);
      losses[upTo - 1] = result.loss;
      model = run.model;
    }
    expect(losses).toEqual(whole.losses);
    expect(await values(model!)).toEqual(await values(whole.model));
    const averages = async (run: typeof whole) => Promise.all([...run.ema!.state().values()].map((x) => x.array()));
    const again = await exampleRun(steps);
    expect((await train({ ...again, accumulate, checkpoint: store })).loss).toBeNaN();
    expect(await averages(again)).toEqual(await averages(whole));
  });

  it("saves when it is aborted, and goes on from there", async () => {
    const whole = await exampleRun(10);
    await train(whole);
    const store = memoryStore();
    const abort = new AbortController();
    const first = await exampleRun(10);
    const report = first.onProgress!;
    const stopped = train({
      ...first,
      checkpoint: store,
      signal: abort.signal,
      onProgress: (progress) => {
        report(progress);
        if (progress.step === 4) abort.abort(new Error("enough"));
      },
    });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError", cause: { message: "enough" } });
    expect(store.saves.at(-1)!.step).toBeGreaterThanOrEqual(4);
    const second = await exampleRun(10);
    await train({ ...second, checkpoint: store });
    expect([...first.losses, ...second.losses.slice(first.losses.length)]).toEqual(whole.losses);
    expect(await values(second.model)).toEqual(await values(whole.model));
  });

  it("stops waiting for data when it is aborted", async () => {
    const run = await exampleRun(10);
    const data = {
      async *[Symbol.asyncIterator]() {
        yield* exampleData();
        await new Promise(() => {});
        yield* exampleData();
      },
    };
    const began = performance.now();
    const stopped = train({ ...run, data, signal: AbortSignal.timeout(300) });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it("does not begin when it was aborted before", async () => {
    const run = await exampleRun(10);
    const before = await values(run.model);
    await expect(train({ ...run, signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    expect(await values(run.model)).toEqual(before);
  });

  it("refuses the checkpoint of another model, and leaves the model as it is", async () => {
    const store = memoryStore();
    await train({ ...(await exampleRun(2)), checkpoint: store });
    const run = await exampleRun(4);
    run.model.stateDict();
    const { ema: _, ...other } = run;
    const before = await values(run.model);
    await expect(train({ ...other, checkpoint: store })).rejects.toMatchObject({
      name: "CheckpointError",
      code: "CHECKPOINT_MISMATCH",
      message: expect.stringContaining("unknown ema/average/up.weight"),
    });
    expect(await values(run.model)).toEqual(before);
  });

  it("refuses parts of two steps", async () => {
    const store = memoryStore();
    await train({ ...(await exampleRun(2)), checkpoint: store });
    store.saves.at(-1)!.step = 9;
    await expect(train({ ...(await exampleRun(12)), checkpoint: store })).rejects.toMatchObject({
      code: "CHECKPOINT_FORMAT",
    });
  });

  it("trains on when the disk is full, and says so", async () => {
    const warnings: string[] = [];
    const inner = memoryStore();
    let fails = 2;
    const store: CheckpointStore = {
      latest: () => inner.latest(),
      async save(step, state) {
        if (fails-- > 0) throw new VlmError("StorageError", "ENOSPC", { what: "full", recoverable: true });
        await inner.save(step, state);
      },
    };
    const run = await exampleRun(6);
    await train({ ...run, checkpoint: { store, steps: 2 }, onWarning: (text) => warnings.push(text) });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain("step 2 could not be saved");
    expect(inner.saves.map(({ step }) => step)).toEqual([6]);
  });
});

it("R15: a run goes on on another device, to rounding", async () => {
  const whole = await exampleRun(10);
  await train(whole);
  const store = memoryStore();
  await train({ ...(await exampleRun(5)), checkpoint: store });
  const device = process.env.VLM_DEVICE ?? "js";
  await useDevice(device === "wasm" ? "js" : "wasm");
  try {
    const moved = await exampleRun(10);
    expect((await train({ ...moved, checkpoint: store })).resumedFrom).toBe(5);
    // Parameters may differ more: the bias before a batch norm has no gradient but rounding errors.
    expect(moved.losses.slice(5)).toHaveLength(5);
    moved.losses.slice(5).forEach((loss, i) => {
      expect(Math.abs(loss - whole.losses[5 + i]!)).toBeLessThan(1e-5);
    });
  } finally {
    await testDevice();
  }
});

describe("bad arguments and data", () => {
  it("R4: trains on a last batch that is short", async () => {
    const run = await exampleRun(7);
    const rows = (count: number) => ({ x: tensor(Array(count).fill([1, 2, 3])), y: tensor(Array(count).fill([1])) });
    const result = await train({ ...run, data: [rows(4), rows(4), rows(3)] });
    expect(result.step).toBe(7);
    const one = train({ ...(await exampleRun(3)), data: [rows(4), rows(1)] });
    await expect(one).rejects.toMatchObject({
      name: "DataError",
      code: "BATCH_SHAPE",
      cause: { name: "ShapeError", code: "BATCH_TOO_SMALL" },
    });
  });

  it("wants a batch", async () => {
    const run = await exampleRun(2);
    await expect(train({ ...run, data: [] })).rejects.toMatchObject({
      name: "ArgumentError",
      code: "NO_BATCHES",
      message: expect.stringContaining("the data gave no batch"),
    });
  });

  it("names the batch that could not be made, and keeps what was learnt", async () => {
    const store = memoryStore();
    const source = exampleData();
    const data = {
      state: () => source.state(),
      restore: (state: unknown) => source.restore(state),
      async *[Symbol.asyncIterator]() {
        let n = 0;
        for await (const batch of source) {
          if (n++ === 3) throw new Error("torn page");
          yield batch;
        }
      },
    };
    const run = await exampleRun(9);
    await expect(train({ ...run, data, checkpoint: store })).rejects.toMatchObject({
      code: "BATCH_FAILED",
      message: expect.stringContaining("batch 3 could not be made: torn page"),
    });
    expect(store.saves.map(({ step }) => step)).toEqual([3]);
  });

  it.each([
    { steps: 0 },
    { accumulate: 1.5 },
    { evaluate: { every: 0, run: async () => ({}) } },
    { checkpoint: { store: memoryStore(), minutes: 0 } },
    { rollback: { every: 2 } },
    { onNonFinite: "rollback" as const, rollback: { attempts: 0 } },
    { data: [] as never[], checkpoint: memoryStore() },
  ])("refuses %j", async (options) => {
    const run = await exampleRun(2);
    await expect(train({ ...run, ...options })).rejects.toMatchObject({ name: "ArgumentError", code: "TRAIN_OPTION" });
  });

  it("wants a scalar loss", async () => {
    const run = await exampleRun(2);
    const loss = ({ x }: { x: Tensor }): Tensor => x.pipe(run.model);
    await expect(train({ ...run, loss })).rejects.toMatchObject({ code: "LOSS_SCALAR" });
  });
});

it("draws a line", () => {
  const progress = { step: 120, steps: 2000, loss: 0.41234, learningRate: 1e-3, gradientNorm: 0.8345 };
  const line = progressLine({ ...progress, metrics: { top1: 0.5 }, stepsPerSecond: 12.13, secondsLeft: 155 });
  expect(line).toBe(" 120/2000 █                 loss 0.412  lr 1.0e-3  norm 0.835  top1 0.5  12.1 steps/s  2:35 left");
});
