import { type Tensor, tensor } from "@vlm/core";
import { Linear, Module, SGD, type TrainProgress, train } from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import { exampleRun } from "./example-run.ts";
import { memoryStore, numbersOf, values } from "./run-store.ts";

beforeAll(testDevice);

/** One f16 weight whose gradient is `slope` for every step; the loss itself is f32. */
async function halfRun(slope: number, steps: number, start = 1) {
  class Scale extends Module {
    readonly linear = new Linear(1, 1, { bias: false });
    forward(x: Tensor): Tensor {
      return x.pipe(this.linear);
    }
  }
  const model = new Scale();
  await model.load({ "linear.weight": tensor([[start]]) });
  model.convert("f16");
  const seen: TrainProgress[] = [];
  return {
    model,
    weight: () => model.linear.weight.item(),
    optimizer: new SGD(model, { lr: 0.25 / slope }),
    data: [tensor([[1]]).cast("f16")],
    loss: (x: Tensor) => x.pipe(model).cast("f32").sum().mul(slope),
    steps,
    seen,
    onProgress: (progress: TrainProgress) => void seen.push(progress),
  };
}

describe("loss scaling", () => {
  it("changes no bit where nothing is too small or too large", async () => {
    for (const accumulate of [1, 2]) {
      const plain = await exampleRun(9);
      await train({ ...plain, accumulate });
      const scaled = await exampleRun(9);
      const seen: (number | undefined)[] = [];
      const report = scaled.onProgress!;
      await train({
        ...scaled,
        accumulate,
        lossScale: { interval: 4 },
        onProgress: (progress) => {
          report(progress);
          seen.push(progress.lossScale);
        },
      });
      expect(scaled.losses).toEqual(plain.losses);
      expect(await values(scaled.model)).toEqual(await values(plain.model));
      // Doubled after four sound steps each.
      expect(seen).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 4].map((n) => n * 2 ** 16));
    }
  });

  it("keeps gradients that f16 rounds to 0", async () => {
    const without = await halfRun(1e-9, 3);
    await train(without);
    expect(await without.weight()).toBe(1);
    const withScale = await halfRun(1e-9, 3);
    await train({ ...withScale, lossScale: true });
    expect(await withScale.weight()).toBeCloseTo(0.25, 2);
    expect(withScale.seen[0]).toMatchObject({ lossScale: 2 ** 16, gradientNorm: expect.closeTo(1e-9, 11) });
    expect(without.seen[0]!.lossScale).toBeUndefined();
  });

  it("R3: halves the factor when gradients overflow, leaves those updates out, and says so", async () => {
    const run = await halfRun(2, 6, 2);
    const result = await train({ ...run, lossScale: { initial: 2 ** 18 } });
    expect(run.seen.map(({ lossScale, leftOut }) => [Math.log2(lossScale!), leftOut])).toEqual([
      [18, "overflow"],
      [17, "overflow"],
      [16, "overflow"],
      [15, "overflow"],
      [14, undefined],
      [14, undefined],
    ]);
    expect(result).toMatchObject({ step: 6, skipped: 4 });
    expect(run.seen.map(({ loss }) => loss)).toEqual([4, 4, 4, 4, 4, 3.5]);
    expect(await run.weight()).toBe(1.5);
    expect(await run.optimizer.steps.value.item()).toBe(2);
  });

  it("R3: gives up after a number of overflows in a row, and changes nothing", async () => {
    const run = await halfRun(2, 9);
    await expect(train({ ...run, lossScale: { initial: 2 ** 30, attempts: 3 } })).rejects.toMatchObject({
      name: "NonFiniteError",
      code: "LOSS_SCALE",
      where: "the gradient of linear.weight",
      message: expect.stringContaining("overflowed at 3 steps in a row, with a loss scale of 268435456"),
      details: expect.objectContaining({ step: 2, overflows: 3, lossScale: 2 ** 28 }),
    });
    expect(run.seen.map(({ leftOut }) => leftOut)).toEqual(["overflow", "overflow"]);
    expect(await run.weight()).toBe(1);
  });

  it("leaves a loss that is not finite to the guard", async () => {
    const run = await halfRun(2, 3);
    const data = [tensor([[1]]).cast("f16"), tensor([[Number.POSITIVE_INFINITY]]).cast("f16")];
    await expect(train({ ...run, data, lossScale: { initial: 4 } })).rejects.toMatchObject({
      name: "NonFiniteError",
      code: "TRAIN_LOSS",
    });
    expect(run.seen).toHaveLength(1);
  });

  it("R14: is part of what resuming restores", async () => {
    const options = { lossScale: { initial: 2 ** 18, interval: 3 } };
    const store = memoryStore();
    const whole = await halfRun(2, 14, 8);
    await train({ ...whole, ...options, data: endless(), checkpoint: { store, steps: 100 } });
    const stopped = memoryStore();
    const scales: (number | undefined)[] = [];
    for (let upTo = 1; upTo <= 14; upTo++) {
      const run = await halfRun(2, upTo, 8);
      await train({ ...run, ...options, data: endless(), checkpoint: { store: stopped, steps: 100 } });
      scales.push(...run.seen.map(({ lossScale }) => lossScale));
    }
    expect(scales).toEqual(whole.seen.map(({ lossScale }) => lossScale));
    expect(new Set(scales).size).toBeGreaterThan(4);
    expect(await numbersOf(stopped.saves.at(-1)!.state)).toEqual(await numbersOf(store.saves.at(-1)!.state));
  });

  it("can be turned on for a run that began without", async () => {
    const store = memoryStore();
    await train({ ...(await exampleRun(3)), checkpoint: store });
    const resumed = await train({ ...(await exampleRun(5)), lossScale: true, checkpoint: store });
    expect(resumed).toMatchObject({ step: 5, resumedFrom: 3 });
    expect((await train({ ...(await exampleRun(6)), checkpoint: store })).resumedFrom).toBe(5);
  });

  it.each([{ initial: 0 }, { initial: Number.NaN }, { interval: 0 }, { attempts: 1.5 }])(
    "refuses %j",
    async (lossScale) => {
      await expect(train({ ...(await exampleRun(3)), lossScale })).rejects.toMatchObject({
        name: "ArgumentError",
        code: "LOSS_SCALE_OPTION",
        message: expect.stringContaining(`${Object.keys(lossScale)[0]}: ${Object.values(lossScale)[0]}`),
      });
    },
  );
});

/** One batch for ever, with a position. */
function endless() {
  const batch = tensor([[1]]).cast("f16");
  return {
    state: () => 0,
    restore: () => {},
    async *[Symbol.asyncIterator]() {
      yield batch;
    },
  };
}
