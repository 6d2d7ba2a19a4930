import { describe, expect, test } from "vitest";
import { random, realize, type Tensor, tensor } from "../../src/index.ts";
import { threefry2x32 } from "../../src/ops/threefry.ts";
import { OTHERS, onDevice, type TestDevice, use } from "./harness.ts";

const ALL = ["js", ...OTHERS] as TestDevice[];

test("Threefry-2x32 gives the published known answers", () => {
  // Random123's kat_vectors, threefry 2x32 with 20 rounds: counter, key, result.
  expect(threefry2x32([0, 0], [0, 0])).toEqual([0x6b200159, 0x99ba4efe]);
  expect(threefry2x32([0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff])).toEqual([0x1cb996fc, 0xbb002be7]);
  expect(threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toEqual([0xc4923a9c, 0x483df7a0]);
});

describe.each(ALL)("on %s", (device) => {
  test("bits, keys and splits are the same numbers everywhere", async () => {
    const [bits, split, folded] = await onDevice(device, () => {
      const key = random.key(42);
      return [random.bits(key, [2, 3]), random.split(key, 3)[2]!, random.fold(key, 2)];
    });
    const words = (i: number): number => {
      const [a, b] = threefry2x32([0, 42], [0, i]);
      return (a ^ b) >>> 0;
    };
    expect([...(bits as Uint32Array)]).toEqual([0, 1, 2, 3, 4, 5].map(words));
    expect([...(split as Uint32Array)]).toEqual(threefry2x32([0, 42], [0, 2]));
    expect([...(folded as Uint32Array)]).toEqual([...(split as Uint32Array)]);
  });

  test("uniform numbers are the same bits everywhere", async () => {
    const [got] = await onDevice(device, () => [random.uniform(random.key(7), [1000])]);
    const [want] = await onDevice("js", () => [random.uniform(random.key(7), [1000])]);
    expect([...(got as Float32Array)]).toEqual([...(want as Float32Array)]);
    expect(Math.min(...(got as Float32Array))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...(got as Float32Array))).toBeLessThan(1);
  });

  test("a permutation holds every number once, a categorical draw stays in range", async () => {
    const [order, draws] = await onDevice(device, () => [
      random.permutation(random.key(1), 100),
      random.categorical(random.key(2), tensor([0, Number.NEGATIVE_INFINITY, 1]), [200]),
    ]);
    expect([...(order as Int32Array)].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([...(order as Int32Array)]).not.toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(new Set(draws as Int32Array)).toEqual(new Set([0, 2]));
  });
});

const moments = async (x: Tensor): Promise<{ mean: number; variance: number; skew: number }> => {
  const values = [...(await x.data())];
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const central = (p: number): number => values.reduce((a, v) => a + (v - mean) ** p, 0) / values.length;
  return { mean, variance: central(2), skew: central(3) };
};

test("distributions have their moments", async () => {
  await use("js");
  const n = 20_000;
  const error = (deviation: number): number => (5 * deviation) / Math.sqrt(n);
  const normal = await moments(random.normal(random.key(3), [n], { mean: 2, std: 3 }));
  expect(Math.abs(normal.mean - 2)).toBeLessThan(error(3));
  expect(Math.abs(normal.variance - 9)).toBeLessThan(error(9 * Math.SQRT2));
  const uniform = await moments(random.uniform(random.key(4), [n], -1, 3));
  expect(Math.abs(uniform.mean - 1)).toBeLessThan(error(Math.sqrt(16 / 12)));
  expect(Math.abs(uniform.variance - 16 / 12)).toBeLessThan(error(1.3));
  const truncated = random.truncatedNormal(random.key(5), [n]);
  expect(Math.max(...(await truncated.data()))).toBeLessThanOrEqual(2);
  // The variance of a normal limited to ±2 is 1 − 2·2·φ(2)/(2Φ(2) − 1).
  expect(Math.abs((await moments(truncated)).variance - 0.7737)).toBeLessThan(error(1));
  const coin = await moments(random.bernoulli(random.key(6), [n], 0.3).cast("f32"));
  expect(Math.abs(coin.mean - 0.3)).toBeLessThan(error(0.46));
  const gumbel = await moments(random.gumbel(random.key(8), [n]));
  expect(Math.abs(gumbel.mean - 0.5772)).toBeLessThan(error(1.3));
  const dice = random.integers(random.key(9), [n], 1, 7);
  expect(new Set(await dice.data())).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(Math.abs((await moments(dice.cast("f32"))).mean - 3.5)).toBeLessThan(error(1.8));
  const logits = tensor([Math.log(0.1), Math.log(0.6), Math.log(0.3)]);
  const draws = [...(await random.categorical(random.key(10), logits, [n]).data())];
  [0.1, 0.6, 0.3].forEach((p, i) => {
    expect(Math.abs(draws.filter((d) => d === i).length / n - p)).toBeLessThan(error(0.5));
  });
});

test("keys are independent of each other and of the order of use", async () => {
  await use("js");
  const [a, b] = random.split(random.key(0));
  const [x, y, z] = [random.normal(a!, [500]), random.normal(b!, [500]), random.normal(a!, [500])];
  await realize(x, y, z);
  expect(await x.data()).toEqual(await z.data());
  const product = x.mul(y).mean();
  expect(Math.abs(await product.item())).toBeLessThan(0.25);
});

test("what is no seed or key is refused", () => {
  expect(() => random.key(-1)).toThrowErrorMatchingSnapshot();
  expect(() => random.key(0.5)).toThrowErrorMatchingSnapshot();
  expect(() => random.bits(tensor([1, 2]), [3])).toThrowErrorMatchingSnapshot();
});
