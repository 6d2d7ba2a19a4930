/** Composites against answers that are known by hand, or from NumPy and PyTorch. */
import { einsum, iota, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(async () => {
  await useDevice("js");
});

describe("einsum without a result", () => {
  const x = iota(9).cast("f32").reshape([3, 3]);

  it("sums a letter that an operand repeats", async () => {
    expect(await einsum("ii", x).item()).toBe(0 + 4 + 8);
    expect(await einsum("...ii", x.reshape([1, 3, 3])).array()).toEqual([12]);
    expect(await einsum("ii,j", x, iota(2)).array()).toEqual([0, 12]);
  });

  it("orders letters by the alphabet", async () => {
    expect(await einsum("ba", x).array()).toEqual(await x.transpose().array());
  });
});
