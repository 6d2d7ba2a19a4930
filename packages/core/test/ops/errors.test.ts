/** What the ops say when shapes, dtypes and indices do not fit. */
import { beforeAll, expect, test } from "vitest";
import * as vlm from "../../src/index.ts";
import { type DType, type Tensor, tensor, useDevice, VlmError } from "../../src/index.ts";

const t = (...shape: number[]): Tensor => vlm.zeros(shape);
const of = (dtype: DType, ...shape: number[]): Tensor => vlm.zeros(shape, dtype);

beforeAll(() => useDevice("js"));

const WRONG: Record<string, () => unknown> = {
  "add of shapes that do not broadcast": () => t(2, 3).add(t(4)),
  "add of what is no tensor": () => t(2).add(undefined as never),
  "matmul of inner sizes that differ": () => t(2, 197, 768).matmul(t(512, 512)),
  "matmul of a scalar": () => t().matmul(t(2, 2)),
  "matmul of batches that do not broadcast": () => t(2, 3, 4).matmul(t(3, 4, 5)),
  "reshape to another size": () => t(2, 3).reshape([4, -1]),
  "permute with a repeated axis": () => t(2, 3).permute([0, 0]),
  "expand of a size that is not 1": () => t(2, 3).expand([2, 4]),
  "slice out of range": () => t(2, 3).slice(5),
  "slice by zero": () => t(4).slice([0, 4, 0]),
  "slice of too many axes": () => t(4).slice(0, 0),
  "pad by a negative amount": () => t(4).pad([[-1, 0]]),
  "squeeze of a size that is not 1": () => t(2, 3).squeeze(0),
  "an axis out of range": () => t(2, 3).sum(2),
  "an axis named twice": () => t(2, 3).sum([0, -2]),
  "an axis of a scalar": () => t().softmax(0),
  "max of nothing": () => t(0, 3).max(0),
  "argmax of nothing": () => t(0).argmax(0),
  "exp of integers": () => of("i32", 2).exp(),
  "and of floats": () => vlm.bitAnd(t(2), t(2)),
  "bitcast of halves": () => vlm.bitcast(of("f16", 2), "u32"),
  "softmax of integers": () => of("i32", 2).softmax(),
  "concat of shapes that do not continue": () => vlm.concat([t(2, 3), t(2, 4)], 0),
  "concat of nothing": () => vlm.concat([]),
  "split that does not add up": () => vlm.split(t(5), [2, 2]),
  "chunk that does not divide": () => vlm.chunk(t(5), 2),
  "topk of too many": () => vlm.topk(t(3), 4),
  "take by floats": () => t(3).take(t(2)),
  "gather with other ranks": () => t(3, 4).gather(of("i32", 3), 1),
  "scatter with updates of another shape": () => t(3, 4).scatter(of("i32", 3, 2), t(3, 3), 1),
  "scatterRows of shapes that do not fit": () => vlm.scatterRows(t(5, 2), of("i32", 3), t(3, 4)),
  "scatterRows by max without a base": () => vlm.scatterRows(null, of("i32", 3), t(3, 4), { combine: "max", rows: 5 }),
  "einsum with a missing operand": () => vlm.einsum("ij,jk->ik", t(2, 3)),
  "einsum with sizes that differ": () => vlm.einsum("ij,jk->ik", t(2, 3), t(4, 2)),
  "einsum with a letter from nowhere": () => vlm.einsum("ij->k", t(2, 3)),
  "einsum with too few letters": () => vlm.einsum("i->i", t(2, 3)),
  "rearrange of another rank": () => t(2, 3).rearrange("a b c -> c b a"),
  "rearrange with sizes that do not fit": () => t(2, 6).rearrange("a (b c) -> a b c", { b: 4 }),
  "rearrange with two unknown sizes": () => t(2, 6).rearrange("a (b c) -> a b c"),
  "rearrange that loses an axis": () => t(2, 6).rearrange("a b -> a"),
  "rearrange that cannot be read": () => t(2, 6).rearrange("a b => b a"),
  "conv2d of other channels": () => vlm.conv2d(t(1, 3, 8, 8), t(4, 2, 3, 3)),
  "conv2d of another rank": () => vlm.conv2d(t(3, 8, 8), t(4, 3, 3, 3)),
  "conv2d with a kernel too large": () => vlm.conv2d(t(1, 3, 2, 2), t(4, 3, 3, 3)),
  "conv2d with half a stride": () => vlm.conv2d(t(1, 3, 8, 8), t(4, 3, 3, 3), { stride: 0.5 }),
  "convTranspose2d of other channels": () => vlm.convTranspose2d(t(1, 3, 8, 8), t(4, 3, 3, 3)),
  "maxPool with a window too large": () => vlm.maxPool(t(1, 1, 2, 2), 3),
  "groupNorm with groups that do not divide": () => vlm.groupNorm(t(1, 5, 2), 2),
  "batchNorm with half the statistics": () => vlm.batchNorm(t(1, 5, 2), { mean: t(5) }),
  "layerNorm with a weight of another size": () => vlm.layerNorm(t(2, 5), { weight: t(4) }),
  "crossEntropy with targets of another shape": () => vlm.crossEntropy(t(2, 5), of("i32", 3)),
  "attention with widths that differ": () => vlm.scaledDotProductAttention(t(1, 2, 3, 4), t(1, 2, 3, 5), t(1, 2, 3, 5)),
  "attention with heads that do not divide": () =>
    vlm.scaledDotProductAttention(t(1, 3, 3, 4), t(1, 2, 3, 4), t(1, 2, 3, 4)),
  "attention with a float mask": () =>
    vlm.scaledDotProductAttention(t(1, 2, 3, 4), t(1, 2, 3, 4), t(1, 2, 3, 4), { mask: t(3, 3) }),
  "attention with a bias that does not broadcast": () =>
    vlm.scaledDotProductAttention(t(1, 2, 3, 4), t(1, 2, 3, 4), t(1, 2, 3, 4), { bias: t(4, 3) }),
  "tensor of ragged rows": () => tensor([[1, 2], [3]]),
};

test.each(Object.entries(WRONG))("%s", (_name, call) => {
  let caught: unknown;
  try {
    call();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(VlmError);
  expect(`${(caught as VlmError).name} ${(caught as VlmError).message}`).toMatchSnapshot();
});

test("an error names the module it happened in", () => {
  const call = () => vlm.context({ path: ["vit", "blocks.3", "attention"] }, () => t(2, 768).matmul(t(512, 512)));
  expect(call).toThrowErrorMatchingSnapshot();
});
