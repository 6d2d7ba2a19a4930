import { commit, compile, grad, type Tensor } from "@vlm/core";
import {
  Adafactor,
  Adam,
  AdamW,
  cosine,
  EMA,
  globalNorm,
  Linear,
  Lion,
  Module,
  Muon,
  type Optimizer,
  type OptimizerOptions,
  SGD,
  type TrainOptions,
  train,
} from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import fixtures from "./fixtures/optimizers.json" with { type: "json" };
import { expectClose, type Packed, unpack } from "./packed.ts";

beforeAll(testDevice);

class Net extends Module {
  readonly up = new Linear(4, 6);
  readonly down = new Linear(6, 3);

  forward(x: Tensor): Tensor {
    return x.pipe(this.up).tanh().pipe(this.down);
  }
}

/** PyTorch decays everything unless told otherwise. */
const all = (weightDecay: number): Pick<OptimizerOptions, "groups"> => ({
  groups: [{ parameters: /./, weightDecay }],
});

const make: Record<keyof typeof fixtures.runs, (model: Net) => Optimizer> = {
  sgd: (m) => new SGD(m, { lr: 0.1 }),
  "sgd momentum": (m) => new SGD(m, { lr: 0.1, momentum: 0.9, ...all(0.01) }),
  "sgd nesterov": (m) => new SGD(m, { lr: 0.1, momentum: 0.9, nesterov: true, ...all(0.01) }),
  adam: (m) => new Adam(m, { lr: 0.01, ...all(0.1) }),
  adamw: (m) => new AdamW(m, { lr: 0.01, ...all(0.1) }),
  "adamw clip cosine": (m) =>
    new AdamW(m, {
      lr: cosine(0.02, { warmup: 5, steps: 30 }),
      betas: [0.9, 0.98],
      eps: 1e-6,
      clip: 0.5,
      ...all(0.2),
    }),
  "sgd rates": (m) => new SGD(m, { lr: 0.1, momentum: 0.9, groups: [{ parameters: /^up/, lrScale: 0.2 }] }),
  "adamw groups": (m) => new AdamW(m, { lr: 0.01, weightDecay: 0.1 }),
  lion: (m) => new Lion(m, { lr: 0.005, ...all(0.1) }),
  muon: (m) => new Muon(m, { lr: 0.02, weightDecay: 0.1, hidden: /./ }),
  "muon original": (m) => new Muon(m, { lr: 0.02, weightDecay: 0.1, hidden: /./, scale: "original" }),
  adafactor: (m) => new Adafactor(m, { lr: 0.05, ...all(0.1) }),
};

const x = unpack(fixtures.x);
const y = unpack(fixtures.y);

async function start(name: keyof typeof fixtures.runs): Promise<{ model: Net; optimizer: Optimizer }> {
  const model = new Net();
  await model.load(Object.entries(fixtures.start).map(([path, packed]) => [path, unpack(packed)] as const));
  return { model, optimizer: make[name](model) };
}

const lossOf = (model: Net, input: Tensor, target: Tensor): Tensor => input.pipe(model).sub(target).square().mean();

async function expectRun(model: Net, losses: number[], expected: { losses: number[]; parameters: object }) {
  for (const [i, loss] of losses.entries()) expect(Math.abs(loss - expected.losses[i]!)).toBeLessThanOrEqual(1e-5);
  for (const [path, packed] of Object.entries(expected.parameters) as [string, Packed][]) {
    await expectClose(model.namedParameters().get(path)!, packed, 1e-5);
  }
}

describe("thirty steps follow PyTorch", () => {
  for (const name of Object.keys(fixtures.runs) as (keyof typeof fixtures.runs)[]) {
    it(`${name}, compiled`, async () => {
      const { model, optimizer } = await start(name);
      const step = compile((input: Tensor, target: Tensor) => {
        const loss = lossOf(model, input, target);
        const gradients = grad(loss, model);
        optimizer.step(gradients);
        return { loss, norm: globalNorm(gradients) };
      });
      const losses: number[] = [];
      for (let i = 0; i < 30; i++) {
        const { loss, norm } = await step(x.slice(i % 5), y.slice(i % 5));
        losses.push(await loss.item());
        const expected = fixtures.runs[name].norms[i];
        if (expected !== undefined) expect(Math.abs((await norm.item()) - expected)).toBeLessThan(1e-5);
      }
      await expectRun(model, losses, fixtures.runs[name]);
    });
  }

  it("adamw, step by step", async () => {
    const { model, optimizer } = await start("adamw");
    const losses: number[] = [];
    for (let i = 0; i < 30; i++) {
      const loss = lossOf(model, x.slice(i % 5), y.slice(i % 5));
      await optimizer.step(grad(loss, model));
      losses.push(await loss.item());
    }
    await expectRun(model, losses, fixtures.runs.adamw);
    expect(await optimizer.steps.value.item()).toBe(30);
  });
});

describe("thirty steps of train follow PyTorch", () => {
  type Batch = { input: Tensor; target: Tensor };
  const data: Batch[] = [0, 1, 2, 3, 4].map((i) => ({ input: x.slice(i), target: y.slice(i) }));

  async function trained(make: (model: Net) => Partial<TrainOptions<Batch>> & { optimizer: Optimizer }) {
    const { model } = await start("sgd");
    const losses: number[] = [];
    const norms: number[] = [];
    await train({
      model,
      data,
      steps: 30,
      loss: ({ input, target }) => lossOf(model, input, target),
      onProgress: ({ loss, gradientNorm }) => {
        losses.push(loss);
        norms.push(gradientNorm);
      },
      ...make(model),
    });
    return { model, losses, norms };
  }

  it("with gradients of two batches", async () => {
    const { model, losses, norms } = await trained((m) => ({
      optimizer: new AdamW(m, { lr: 0.01, clip: 0.5, ...all(0.1) }),
      accumulate: 2,
    }));
    await expectRun(model, losses, fixtures.trained.accumulate);
    for (const [i, norm] of fixtures.trained.accumulate.norms.entries()) {
      expect(Math.abs(norms[i]! - norm)).toBeLessThan(1e-5);
    }
  });

  it("with averages", async () => {
    let ema: EMA | undefined;
    const { model, losses } = await trained((m) => {
      ema = new EMA(m, { decay: 0.9 });
      return { optimizer: new SGD(m, { lr: 0.1, momentum: 0.9 }), ema };
    });
    await expectRun(model, losses, fixtures.trained.averages);
    for (const [path, average] of ema!.state()) {
      await expectClose(average, (fixtures.trained.averages.averages as Record<string, Packed>)[path]!, 1e-5);
    }
  });
});

describe("an optimiser", () => {
  it("leaves everything alone where `when` is false", async () => {
    const { model, optimizer } = await start("adamw");
    const loss = lossOf(model, x.slice(0), y.slice(0));
    await optimizer.step(grad(loss, model), { when: loss.lt(0) });
    await expectRun(model, [], { losses: [], parameters: fixtures.start });
    expect(await optimizer.steps.value.item()).toBe(0);
  });

  it("updates only what is not frozen", async () => {
    const { model, optimizer } = await start("adamw");
    model.freeze(/^up\./);
    const step = compile((input: Tensor, target: Tensor) => {
      const loss = lossOf(model, input, target);
      optimizer.step(grad(loss, model));
      return { loss };
    });
    await step(x.slice(0), y.slice(0));
    const changed = async (path: keyof typeof fixtures.start): Promise<boolean> => {
      const data = await model.namedParameters().get(path)!.data();
      return fixtures.start[path].data.some((value, i) => Math.fround(value) !== Math.fround(data[i]!));
    };
    expect(await changed("up.weight")).toBe(false);
    expect(await changed("down.weight")).toBe(true);
    // A compiled function notices that the set of frozen parameters changed.
    model.unfreeze();
    await step(x.slice(0), y.slice(0));
    expect(await changed("up.weight")).toBe(true);
  });

  it.each([
    ["lr", { lr: Number.NaN }],
    ["lr", { lr: -1 }],
    ["betas[0]", { lr: 1, betas: [1, 0.9] as const }],
    ["eps", { lr: 1, eps: 0 }],
    ["weightDecay", { lr: 1, weightDecay: -1 }],
    ["clip", { lr: 1, clip: 0 }],
  ])("refuses a bad %s", (name, options) => {
    expect(() => new AdamW(new Net(), options)).toThrowError(
      expect.objectContaining({
        name: "ArgumentError",
        code: "OPTIMIZER_OPTION",
        details: expect.objectContaining({ name }),
      }),
    );
  });

  it("refuses a model that has nothing to train", () => {
    const nothing = expect.objectContaining({ name: "ArgumentError", code: "NOTHING_TRAINS" });
    expect(() => new SGD(new Net().freeze(), { lr: 1 })).toThrowError(nothing);
    expect(() => new SGD(new (class Empty extends Module {})(), { lr: 1 })).toThrowError(nothing);
  });

  it("refuses gradients of another model", async () => {
    const { optimizer } = await start("sgd");
    const other = new Net();
    const loss = lossOf(other, x.slice(0), y.slice(0));
    expect(() => optimizer.step(grad(loss, other))).toThrowError(expect.objectContaining({ code: "FOREIGN_GRADIENT" }));
    await commit();
  });
});
