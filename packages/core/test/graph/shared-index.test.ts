import { expect, it } from "vitest";
import { take, tensor, useDevice } from "../../src/index.ts";

it.each(["wasm", "webgpu"] as const)(
  "an index made of many shared parts is walked once, %s",
  { timeout: 20_000 },
  async (name) => {
    await useDevice(name);
    let ids = tensor([0, 1, 2], { dtype: "i32" });
    for (let i = 0; i < 40; i++) ids = ids.mul(ids).add(ids);
    const table = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(await take(table, ids.mul(0)).array()).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
  },
);
