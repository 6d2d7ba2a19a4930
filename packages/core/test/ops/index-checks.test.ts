import { Cell, compile, crossEntropy, gather, memory, onDebug, openDevice, take, tensor, useDevice } from "@vlm/core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

afterAll(async () => {
  await useDevice("js");
});

/** Integers that only the device knows. */
const computed = (values: number[] | number[][]) => tensor(values, { dtype: "i32" }).add(0);
const table = tensor([10, 20, 30]);

const outside = (details: { op: string; index: number; position: number; limit: number }) =>
  expect.objectContaining({ name: "IndexRangeError", code: "INDEX_RANGE", details });

describe.each(["js", "wasm", "webgpu"] as const)("computed indices on %s", (name) => {
  let stop: () => void;
  beforeAll(async () => {
    await useDevice(await openDevice(name));
  });
  beforeEach(() => {
    stop = onDebug(() => {}, 1);
  });
  afterEach(() => stop());

  it("that are in range change nothing", async () => {
    expect(await take(table, computed([2, 0])).array()).toEqual([30, 10]);
    expect(await gather(table, computed([1, 1, 0])).array()).toEqual([20, 20, 10]);
    expect(await take(table, computed([])).array()).toEqual([]);
  });

  it("that are out of range: the op, the first of them and the size", async () => {
    const [low, high] = [take(table, computed([0, -1, 7])), take(table, computed([[2, 1], [3, 9]]))]; // biome-ignore format: a matrix
    await expect(low.data()).rejects.toEqual(outside({ op: "take", index: -1, position: 1, limit: 3 }));
    await expect(high.data()).rejects.toEqual(outside({ op: "take", index: 3, position: 2, limit: 3 }));
    await expect(low.add(1).data()).rejects.toEqual(outside({ op: "take", index: -1, position: 1, limit: 3 }));
    const x = tensor([[1, 2], [3, 4]]); // biome-ignore format: a matrix
    const gathered = gather(x, computed([[0, 1], [0, 2]]), 1).sum(); // biome-ignore format: a matrix
    await expect(gathered.item()).rejects.toEqual(outside({ op: "gather", index: 2, position: 3, limit: 2 }));
  });

  it("of classes: all but the ignored one", async () => {
    const logits = tensor([[1, 2], [3, 4]]); // biome-ignore format: a matrix
    expect(await crossEntropy(logits, computed([1, -100])).item()).toBeCloseTo(Math.log(1 + Math.exp(-1)), 5);
    const loss = crossEntropy(logits, computed([-100, 2]));
    await expect(loss.item()).rejects.toEqual(outside({ op: "crossEntropy", index: 2, position: 1, limit: 2 }));
  });

  it("in a compiled step, which then counts for nothing", async () => {
    const sum = new Cell(tensor([0]));
    const step = compile((ids: ReturnType<typeof tensor>) => {
      const taken = take(table, ids);
      sum.assign(sum.value.add(taken.sum().reshape([1])));
      return taken;
    });
    const ids = (values: number[]) => tensor(values, { dtype: "i32" });
    expect(await (await step(ids([0, 2]))).array()).toEqual([10, 30]);
    const wrong = await step(ids([1, 5]));
    await expect(wrong.data()).rejects.toEqual(outside({ op: "take", index: 5, position: 1, limit: 3 }));
    expect(await sum.value.array()).toEqual([40]);
    expect(await (await step(ids([1, 1]))).array()).toEqual([20, 20]);
    expect(await sum.value.array()).toEqual([80]);
    stop();
    // Another plan, without the flag.
    expect(await (await step(ids([1, 5]))).array()).toEqual([20, Number.NaN]);
  });

  it("leave no memory behind, and are NaN at other levels", async () => {
    const ids = computed([4]);
    await ids.data();
    const before = memory().device!.buffers;
    await expect(take(table, ids).data()).rejects.toThrow("index 4 at position 0 of [1], for 3 places");
    stop();
    const free = take(table, ids);
    expect(await free.array()).toEqual([Number.NaN]);
    free.dispose();
    expect(memory().device!.buffers).toBe(before);
  });
});
