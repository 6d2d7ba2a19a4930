/** Sums of many numbers in f32, which a single running sum would get wrong in the third digit. */
import { beforeAll, expect, it } from "vitest";
import { fill, iota, openDevice, useDevice } from "../../src/index.ts";

beforeAll(async () => {
  await useDevice(await openDevice("wasm", { threads: 1 }));
});

const n = 2 ** 24 - 3;

it("adds sixteen million equal numbers", async () => {
  const exact = Math.fround(1.1) * n;
  expect(Math.abs((await fill(1.1, [n]).sum().item()) / exact - 1)).toBeLessThan(1e-5);
});

it("adds sixteen million numbers along a row of two", async () => {
  const sums = await iota(2).add(1).reshape([2, 1]).mul(1.1).expand([2, n]).sum(1).array();
  (sums as number[]).forEach((sum, i) => {
    expect(Math.abs(sum / (Math.fround(1.1 * (i + 1)) * n) - 1)).toBeLessThan(1e-5);
  });
});

it("averages sixteen million counted ones", async () => {
  expect(Math.abs((await iota(n).cast("f32").mean().item()) / ((n - 1) / 2) - 1)).toBeLessThan(2e-6);
});

it("finds the extremes among them", async () => {
  expect(await iota(n).max().item()).toBe(n - 1);
  expect(await iota(n).mul(-1).min().item()).toBe(1 - n);
});
