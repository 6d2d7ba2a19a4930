/** Data is moved bit by bit: the sign of a zero too. */
import { describe, expect, it } from "vitest";
import { chunk, concat, type Device, openDevice, roll, stack, tensor, useDevice } from "../../src/index.ts";

const devices: Record<string, () => Promise<Device>> = {
  js: () => openDevice("js"),
  wasm: () => openDevice("wasm", { threads: 1 }),
};

describe.each(Object.keys(devices))("%s", (name) => {
  it("keeps -0 where tensors are put together and taken apart", async () => {
    await useDevice(await devices[name]!());
    const x = tensor([-0, 1, 0, -0]);
    expect([...(await concat([x, x]).data())]).toEqual([-0, 1, 0, -0, -0, 1, 0, -0]);
    expect(await stack([x, x.neg()], 1).array()).toEqual([
      [-0, 0],
      [1, -1],
      [0, -0],
      [-0, 0],
    ]);
    expect(await roll(x, 1).array()).toEqual([-0, -0, 1, 0]);
    expect(await concat(chunk(x, 2).reverse()).array()).toEqual([0, -0, -0, 1]);
    expect(await x.pad([[1, 1]]).array()).toEqual([0, -0, 1, 0, -0, 0]);
  });
});
