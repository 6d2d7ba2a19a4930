import { commit, compile, context, grad, ones, random, type Tensor, tensor } from "@vlm/core";
import {
  Attention,
  addLoRA,
  BatchNorm,
  constantRate,
  cosine,
  Dropout,
  DropPath,
  EMA,
  Embedding,
  Examples,
  fansOf,
  GradientAccumulator,
  inverseRoot,
  KeyValueCache,
  kaimingNormal,
  Linear,
  lecunNormal,
  linear,
  Module,
  mergeLoRA,
  normal,
  type Schedule,
  Sequential,
  SGD,
  schedule,
  stepped,
  truncatedNormal,
  xavierUniform,
} from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import fixtures from "./fixtures/optimizers.json" with { type: "json" };

beforeAll(testDevice);

const close = (a: number, b: number, tolerance = 1e-6): void => expect(Math.abs(a - b)).toBeLessThanOrEqual(tolerance);

describe("schedules", () => {
  const all: Record<string, Schedule> = {
    cosine: cosine(0.02, { warmup: 5, steps: 30 }),
    "cosine to an end": cosine(0.02, { steps: 20, end: 0.01 }),
    linear: linear(1, { warmup: 2, steps: 12, end: 0.5 }),
    "linear to an end": linear(0.5, { steps: 12, end: 0.1 }),
    "warm-up": constantRate(0.1, { warmup: 3 }),
    stepped: stepped(0.1, { every: 7 }),
    "inverse root": inverseRoot(0.5, { warmup: 4 }),
    own: schedule((m, t) => m.div(m.number(1), m.add(t, m.number(1)))),
  };

  it("are the same for numbers and for tensors in a plan", async () => {
    const rates = compile((t: Tensor) => Object.fromEntries(Object.entries(all).map(([name, f]) => [name, f(t)])));
    for (let t = 0; t < 34; t++) {
      const found = await rates(tensor(t));
      for (const [name, f] of Object.entries(all)) close(await found[name]!.item(), f(t), 2e-7);
    }
  });

  it("follow the reference", () => {
    for (const [name, rates] of Object.entries(fixtures.schedules)) {
      rates.forEach((rate, t) => {
        close(all[name]!(t), rate, 1e-9);
      });
    }
    expect([0, 6, 7, 13, 14].map((t) => Number(all.stepped!(t).toPrecision(6)))).toEqual([0.1, 0.1, 0.01, 0.01, 0.001]);
    expect(all.linear!(12)).toBe(0.5);
    expect(all["inverse root"]!(16)).toBeCloseTo(0.25, 9);
  });

  it("refuse what makes no sense", () => {
    expect(() => cosine(0.1, { warmup: 10, steps: 10 })).toThrowError(expect.objectContaining({ code: "SCHEDULE" }));
    expect(() => linear(Number.NaN, { steps: 10 })).toThrowError(expect.objectContaining({ code: "SCHEDULE" }));
  });
});

describe("initialisers", () => {
  const deviation = async (x: Tensor): Promise<number> => {
    const data = (await x.data()) as Float32Array;
    const mean = data.reduce((a, b) => a + b) / data.length;
    return Math.sqrt(data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length);
  };
  const shape = [64, 16, 3, 3];

  it("count fans", () => {
    expect(fansOf([5, 7])).toEqual({ fanIn: 7, fanOut: 5 });
    expect(fansOf(shape)).toEqual({ fanIn: 144, fanOut: 576 });
  });

  it.each([
    ["normal", normal(0.02), 0.02],
    ["xavier", xavierUniform(), Math.sqrt(2 / 720)],
    ["kaiming, inputs", kaimingNormal(), Math.sqrt(2 / 144)],
    ["kaiming, outputs", kaimingNormal("out"), Math.sqrt(2 / 576)],
    ["lecun", lecunNormal(), Math.sqrt(1 / 144)],
    // A normal cut at two deviations has 0.87963 of its deviation left.
    ["truncated normal", truncatedNormal(0.02), 0.02 * 0.87963],
  ])("%s has the paper's deviation", async (_, init, expected) => {
    close((await deviation(init(shape, random.key(1)))) / expected, 1, 0.03);
  });

  it("cut what they promise to cut", async () => {
    const data = (await truncatedNormal(0.5)([5000], random.key(2)).data()) as Float32Array;
    expect(Math.max(...data.map(Math.abs))).toBeLessThanOrEqual(1);
  });
});

describe("Embedding", () => {
  it("names an id that is not in the table", () => {
    class Text extends Module {
      readonly tokens = new Embedding(10, 2);
      forward(ids: Tensor): Tensor {
        return ids.pipe(this.tokens);
      }
    }
    const ids = tensor(
      [
        [1, 2],
        [10, 3],
      ],
      { dtype: "i32" },
    );
    expect(() => ids.pipe(new Text())).toThrowErrorMatchingInlineSnapshot(`
      [IndexRangeError: [TOKEN_RANGE] embedding: id 10 at position 2 of [2 2]; the table has 10 rows
        in Text.tokens
        check that the tokenizer and the model belong together]
    `);
    expect(() => tensor([-1], { dtype: "i32" }).pipe(new Embedding(3, 2))).toThrowError(
      expect.objectContaining({ name: "IndexRangeError", code: "TOKEN_RANGE" }),
    );
  });
});

describe("Attention", () => {
  it("says what is wrong with its configuration and inputs", () => {
    const heads = expect.objectContaining({ name: "ArgumentError", code: "HEADS" });
    expect(() => new Attention({ width: 10, heads: 3 })).toThrowError(heads);
    expect(() => new Attention({ width: 12, heads: 3, kvHeads: 2 })).toThrowError(heads);
    const x = tensor([[[1, 2, 3, 4]]]);
    const context = expect.objectContaining({ code: "CONTEXT" });
    expect(() => x.pipe(new Attention({ width: 4, heads: 2, contextWidth: 4 }))).toThrowError(context);
    expect(() => x.pipe(new Attention({ width: 4, heads: 2 }), { context: x })).toThrowError(context);
  });

  it.each([
    ["token by token", [1, 1, 1, 1, 1, 1]],
    ["in blocks", [3, 1, 2]],
  ])("with a cache equals the whole sequence, %s", async (_, blocks) => {
    const attention = new Attention({ width: 8, heads: 4, kvHeads: 2, causal: true, rotary: {} });
    const x = random.normal(random.key(4), [2, 6, 8]);
    const whole = (await x.pipe(attention).data()) as Float32Array;
    const cache = new KeyValueCache({ batch: 2, heads: 2, headWidth: 2, capacity: 9 });
    const step = compile((part: Tensor) => part.pipe(attention, { cache }));
    let at = 0;
    for (const length of blocks) {
      const y = await step(x.slice(null, [at, at + length]));
      const data = await y.data();
      for (let b = 0; b < 2; b++) {
        for (let i = 0; i < length * 8; i++) close(data[b * length * 8 + i]!, whole[b * 48 + at * 8 + i]!, 1e-5);
      }
      at += length;
    }
    expect(await cache.length.item()).toBe(6);
  });

  it("gives NaN, not a wrong answer, beyond the cache's capacity", async () => {
    const attention = new Attention({ width: 4, heads: 1 });
    const cache = new KeyValueCache({ batch: 1, heads: 1, headWidth: 4, capacity: 2 });
    const x = random.normal(random.key(4), [1, 3, 4]);
    const y = x.pipe(attention, { cache });
    expect([...(await y.data())].every(Number.isNaN)).toBe(true);
    cache.reset();
    await commit();
    const again = x.slice(null, [0, 2]).pipe(attention, { cache });
    expect([...(await again.data())].some(Number.isNaN)).toBe(false);
  });
});

describe("BatchNorm", () => {
  it("wants more than one value per channel in training", () => {
    const layer = new BatchNorm(2);
    const x = tensor([[1, 2]]);
    expect(() => context({ training: true }, () => x.pipe(layer))).toThrowError(
      expect.objectContaining({ name: "ShapeError", code: "BATCH_TOO_SMALL" }),
    );
    expect(x.pipe(layer).shape).toEqual([1, 2]);
  });

  it("refuses other channels than it was made for, which would be repeated", () => {
    const norm = new BatchNorm(5);
    for (const shape of [[2, 1, 4], [2, 4], [5]]) {
      expect(() => norm.forward(ones(shape))).toThrow(
        expect.objectContaining({ name: "ShapeError", code: "BATCH_NORM_CHANNELS" }),
      );
    }
  });
});

it.each([
  ["Dropout", new Dropout(0.25), [6, 50]],
  ["DropPath", new DropPath(0.25), [300, 1]],
])("%s has the gradient of what it kept", async (_, layer, shape) => {
  const [x, dy] = [random.normal(random.key(1), shape), random.normal(random.key(2), shape)];
  const y = context({ training: true, key: random.key(9) }, () => x.pipe(layer));
  const [dx] = grad(y.mul(dy).sum(), [x]);
  const [input, output, slope, gradient] = await Promise.all([x.data(), y.data(), dy.data(), dx!.data()]);
  let kept = 0;
  output.forEach((value, i) => {
    const keep = value !== 0;
    if (keep) kept++;
    close(value, keep ? input[i]! / 0.75 : 0, 1e-6);
    close(gradient[i]!, keep ? slope[i]! / 0.75 : 0, 1e-6);
  });
  expect(Math.abs(kept / 300 - 0.75)).toBeLessThan(0.1);
});

it("drops whole examples of a branch", async () => {
  const x = tensor(new Float32Array(300).fill(1), { shape: [100, 3] });
  const y = context({ training: true, key: random.key(9) }, () => x.pipe(new DropPath(0.5)));
  const rows = (await y.array()) as number[][];
  expect(rows.every((row) => row.every((v) => v === row[0]))).toBe(true);
  const kept = rows.filter(([v]) => v === 2).length;
  expect(kept).toBeGreaterThan(30);
  expect(kept + rows.filter(([v]) => v === 0).length).toBe(100);
});

describe("LoRA", () => {
  const make = () => new Sequential(new Linear(4, 6), (x: Tensor) => x.relu(), new Linear(6, 2));
  const x = random.normal(random.key(0), [5, 4]);

  it("changes nothing at first, trains alone, and can be merged", async () => {
    const model = make();
    const before = await x.pipe(model).array();
    const adapters = addLoRA(model, { rank: 2, alpha: 4, targets: /layers\.0$/ });
    expect([...adapters.keys()]).toEqual(["layers.0"]);
    expect(await x.pipe(model).array()).toEqual(before);
    expect([...model.namedParameters().keys()]).toContain("layers.0.adapter.down");
    expect(model.trainable()).toHaveLength(2);
    const optimizer = new SGD(model, { lr: 0.1 });
    for (let i = 0; i < 3; i++) await optimizer.step(grad(x.pipe(model).square().mean(), model));
    const adapted = (await x.pipe(model).data()) as Float32Array;
    await mergeLoRA(model);
    expect(model.parameters()).toHaveLength(4);
    const merged = await x.pipe(model).data();
    adapted.forEach((v, i) => {
      close(v, merged[i]!, 1e-5);
    });
    expect(await x.pipe(model).array()).not.toEqual(before);
  });

  it("says which layers there are when none matches", () => {
    expect(() => addLoRA(make(), { rank: 2, targets: /attention/ })).toThrowError(
      expect.objectContaining({ code: "LORA_TARGETS", message: expect.stringContaining("layers.0, layers.2") }),
    );
    expect(() => addLoRA(make(), { rank: 0 })).toThrowError(expect.objectContaining({ code: "LORA_RANK" }));
  });
});

describe("EMA", () => {
  it("averages, and lends the averages to the model", async () => {
    const model = new Linear(1, 1, { bias: false });
    await model.load({ weight: tensor([[1]]) });
    const ema = new EMA(model, { decay: 0.5 });
    for (const value of [2, 4]) {
      model.weight.assign(tensor([[value]]));
      await commit();
      await ema.update();
    }
    const average = 0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 4;
    const seen = await ema.during(() => model.weight.item());
    close(seen, average);
    expect(await model.weight.item()).toBe(4);
    const failed = ema.during(async () => {
      throw new Error("evaluation broke");
    });
    await expect(failed).rejects.toThrow("evaluation broke");
    expect(await model.weight.item()).toBe(4);
  });

  it("forgets the start soon with a warm-up", async () => {
    const model = new Linear(1, 1, { bias: false });
    await model.load({ weight: tensor([[1]]) });
    const ema = new EMA(model, { decay: 0.999, warmup: true });
    model.weight.assign(tensor([[2]]));
    await commit();
    await ema.update();
    close(await ema.state().get("weight")!.item(), 0.1 * 1 + 0.9 * 2);
  });
});

it("sums gradients over batches", async () => {
  const model = new Linear(2, 1, { bias: false });
  const accumulator = new GradientAccumulator(model);
  for (const row of [
    [1, 2],
    [3, 4],
  ]) {
    accumulator.add(grad(tensor([row]).pipe(model).sum(), model), 0.5);
    await commit();
  }
  const taken = accumulator.take().get(model.weight.cell)!;
  expect(await taken.array()).toEqual([[2, 3]]);
  await commit();
  expect(await accumulator.take().get(model.weight.cell)!.array()).toEqual([[0, 0]]);
});

describe("Examples", () => {
  const make = (options = {}) => new Examples([0, 1, 2, 3, 4], (rows) => rows, { batch: 2, ...options });
  const epoch = async (data: AsyncIterable<number[]>): Promise<number[][]> => {
    const found: number[][] = [];
    for await (const batch of data) found.push(batch);
    return found;
  };

  it("gives whole batches, or all", async () => {
    expect(await epoch(make())).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(await epoch(make({ dropLast: false }))).toEqual([[0, 1], [2, 3], [4]]);
  });

  it("shuffles every epoch differently, and the same from any position", async () => {
    const data = make({ shuffle: 3, dropLast: false });
    const [first, second] = [await epoch(data), await epoch(data)];
    expect(first.flat().sort()).toEqual([0, 1, 2, 3, 4]);
    expect(second).not.toEqual(first);
    const again = make({ shuffle: 3, dropLast: false });
    for await (const batch of again) {
      expect(batch).toEqual(first[0]);
      break;
    }
    const resumed = make({ shuffle: 3, dropLast: false });
    resumed.restore(JSON.parse(JSON.stringify(again.state())));
    expect(await epoch(resumed)).toEqual(first.slice(1));
    expect(await epoch(resumed)).toEqual(second);
  });

  it("refuses what it cannot do", () => {
    expect(() => make({ batch: 6 })).toThrowError(expect.objectContaining({ code: "EXAMPLES" }));
    expect(() => make().restore({ epoch: 0, next: 0, count: 4 })).toThrowError(
      expect.objectContaining({ name: "CheckpointError", code: "DATA_STATE" }),
    );
    expect(() => make().restore(null)).toThrowError(expect.objectContaining({ code: "DATA_STATE" }));
  });
});
