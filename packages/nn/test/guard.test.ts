import { type Tensor, tensor } from "@vlm/core";
import { Linear, Module, SGD, train } from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import { values } from "./run-store.ts";

beforeAll(testDevice);

describe("the guard", () => {
  class Poisoned extends Module {
    readonly first = new Linear(2, 2);
    readonly blocks = [new Linear(2, 2), new Risky(), new Linear(2, 1)];
    forward(x: Tensor): Tensor {
      return this.blocks.reduce((y, block) => y.pipe(block), x.pipe(this.first));
    }
  }
  /** Takes the logarithm of something that is negative for large inputs. */
  class Risky extends Module {
    readonly gain = new Linear(2, 2);
    forward(x: Tensor): Tensor {
      return x.pipe(this.gain).add(x.abs().neg().add(1e4).log());
    }
  }

  const good = tensor([[1, 2]]);
  const bad = tensor([[1e8, 2e8]]);

  async function poisoned() {
    const model = new Poisoned();
    const optimizer = new SGD(model, { lr: 1e-3, momentum: 0.9 });
    return { model, optimizer, loss: (x: Tensor) => x.pipe(model).sum(), steps: 5 };
  }

  it("stops before anything changes and names the first module", async () => {
    const run = await poisoned();
    const losses: number[] = [];
    const two = await poisoned();
    await two.model.load([...run.model.stateDict()].map(([path, x]) => [path, x.value] as const));
    await train({ ...two, data: [good, good], steps: 2 });
    const error = train({ ...run, data: [good, good, bad, good, good], onProgress: ({ loss }) => losses.push(loss) });
    await expect(error).rejects.toMatchObject({
      name: "NonFiniteError",
      code: "TRAIN_LOSS",
      where: "the output of blocks.1",
      message: expect.stringMatching(/the loss became (NaN|-?Infinity) at step 2 \(lr 0\.00100, gradient norm /),
      details: expect.objectContaining({ step: 2, learningRate: expect.closeTo(1e-3, 8) }),
    });
    expect(losses).toHaveLength(2);
    expect(await values(run.model)).toEqual(await values(two.model));
    expect(await run.optimizer.steps.value.item()).toBe(2);
  });

  it("can leave the step out", async () => {
    const run = await poisoned();
    const result = await train({ ...run, data: [good, good, bad, good, good], onNonFinite: "skip" });
    expect(result).toMatchObject({ step: 5, skipped: 1 });
    expect(await run.optimizer.steps.value.item()).toBe(4);
    // R2: the moments are not poisoned either.
    for (const cell of run.optimizer.cells().values()) {
      expect([...(await cell.value.data())].every(Number.isFinite)).toBe(true);
    }
    expect(
      Object.values(await values(run.model))
        .flat()
        .every(Number.isFinite),
    ).toBe(true);
  });

  it("says when the batch is to blame", async () => {
    const error = train({ ...(await poisoned()), data: [tensor([[1, Number.NaN]])], steps: 1 });
    await expect(error).rejects.toMatchObject({
      where: "the batch",
      message: expect.stringContaining("check the data"),
    });
  });

  it("notices a gradient that is not finite where the loss is", async () => {
    const model = new Linear(1, 1);
    await model.load({ weight: tensor([[0]]), bias: tensor([0]) });
    const loss = (x: Tensor): Tensor => x.pipe(model).abs().sqrt().sum().mul(1).add(model.weight.sqrt().sum());
    const error = train({ model, optimizer: new SGD(model, { lr: 1 }), data: [tensor([[1]])], steps: 1, loss });
    await expect(error).rejects.toMatchObject({ code: "TRAIN_GRADIENT", where: "the gradient of weight" });
    expect(await model.weight.item()).toBe(0);
  });
});
