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
  "expectShape of another rank": () => vlm.expectShape(t(2, 3), "B N D"),
  "expectShape of another size": () => vlm.expectShape(t(2, 197, 512), "B N D", { D: 768 }),
  "expectShape of a fixed size": () => vlm.expectShape(t(2, 4, 8, 8), "B 3 H W"),
  "expectShape of one name with two sizes": () => vlm.expectShape(t(2, 3), "S S"),
  "tensor of ragged rows": () => tensor([[1, 2], [3]]),
  "tensor of numbers beside arrays": () =>
    tensor([
      [[1], [2]],
      [[3], 4],
    ] as never),
  "tensor of a hole": () => tensor([[1, 2], new Array(2)] as never),
  "tensor of big integers": () => tensor([1n] as never),
  "tensor over BigInt64Array": () => tensor(BigInt64Array.of(1n) as never),
  "tensor of arrays without end": () => {
    const inside: unknown[] = [];
    inside.push(inside);
    return tensor(inside as never);
  },
  "tensor over a detached buffer": () => {
    const array = new Float32Array(4);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    return tensor(array, { shape: [4] });
  },
  "reshape with two unknown sizes": () => t(2, 3).reshape([-1, -1]),
  "more elements than can be indexed": () => t(2 ** 16, 2 ** 16),
  "a size of 2^53": () => t(2 ** 53),
  "a size of one and a half": () => t(1.5),
  "a size that is no number": () => t(Number.NaN),
  "a negative size": () => t(-1),
  "a size as text": () => t("3" as never),
  "a dtype that does not exist": () => vlm.zeros([2], "f64" as never),
  "cast to a dtype that does not exist": () => t(2).cast("float32" as never),
  "take beyond the end": () => t(3).take(tensor([0, 5], { dtype: "i32" })),
  "take before the beginning": () => t(3, 2).take(tensor([[-1]], { dtype: "i32" }), 1),
  "embedding beyond the table": () => vlm.embedding(tensor([7], { dtype: "i32" }), t(5, 2)),
  "gather beyond the end": () => t(3).gather(tensor([3], { dtype: "i32" })),
  "crossEntropy of a class beyond the last": () => vlm.crossEntropy(t(3, 5), tensor([-100, 1, 5], { dtype: "i32" })),
  "einsum that repeats a letter in the result": () => vlm.einsum("ij->ii", t(2, 2)),
  "einsum that cannot be read": () => vlm.einsum("i?j->", t(2, 2)),
  "einsum of an empty operand": () => vlm.einsum("", t(2, 2)),
  "conv2d without dilation": () => vlm.conv2d(t(1, 3, 8, 8), t(4, 3, 3, 3), { dilation: 0 }),
  "conv2d with groups that do not divide": () => vlm.conv2d(t(1, 3, 8, 8), t(4, 3, 3, 3), { groups: 2 }),
  "maxPool without a stride": () => vlm.maxPool(t(1, 1, 8, 8), 2, { stride: 0 }),
  "resize to nothing": () => vlm.resize(t(1, 1, 8, 8), [0, 4]),
  "resize to infinity": () => vlm.resize(t(1, 1, 8, 8), [Number.POSITIVE_INFINITY, 4]),
  "gradient of what is no number": () => vlm.grad(t(2), [t(2)]),
  "a kernel whose reference gives several tensors": () =>
    vlm.defineKernel({ name: "pair", reference: ((x: Tensor) => [x, x]) as never })(t(2)),
  "reshape to sizes without brackets": () => t(2, 3).reshape(3 as never),
  "permute by axes without brackets": () => t(2, 3).permute(1 as never),
  "flip of an axis without brackets": () => t(2, 3).flip(0 as never),
  "expand to a size without brackets": () => t().expand(3 as never),
  "pad by a number": () => t(2).pad(1 as never),
  "pad by a flat list": () => t(2).pad([1, 1] as never),
  "tile by half": () => t(2, 2).tile([1.5, 1]),
  "zeros of a size without brackets": () => vlm.zeros(3 as never),
  "sum over an axis as text": () => t(2).sum("0" as never),
  "slice from half an index": () => t(4).slice([0.5, 2]),
  "split into parts of nothing": () => t(4).split(0),
  "repeat by half": () => vlm.repeat(t(2, 2), 1.5),
  "roll by half": () => vlm.roll(t(4), 0.5),
  "dilate by nothing": () => t(4).dilate([0]),
  "windows of no size": () => vlm.windows(t(4), [0], [0], [1], [1]),
  "windows over an axis out of range": () => vlm.windows(t(4), [1], [2], [1], [1]),
  "a triangle at half an offset": () => vlm.tril(t(2, 2), 0.5),
  "concat with a number": () => vlm.concat([t(2), 1 as never]),
  "exp of nothing": () => vlm.exp(undefined as never),
  "matmul by a number": () => t(2, 2).matmul(2 as never),
  "einsum with two results": () => vlm.einsum("ij->j->i", t(2, 2)),
  "gelu of another form": () => vlm.gelu(t(2), "exact" as never),
  "crossEntropy with another reduction": () =>
    vlm.crossEntropy(t(2, 5), of("i32", 2), { reduction: "average" as never }),
  "resize by another mode": () => vlm.resize(t(1, 1, 2, 2), 4, { mode: "area" as never }),
  "resize without spatial axes": () => vlm.resize(t(2, 3), 4),
  "scatter by another combination": () => t(3).scatter(of("i32", 2), t(2), 0, "sum" as never),
  "attention of integers": () => vlm.scaledDotProductAttention(of("i32", 2, 3), of("i32", 2, 3), of("i32", 2, 3)),
  "conv2d with a bias of other channels": () => vlm.conv2d(t(1, 3, 8, 8), t(1, 3, 3, 3), { bias: t(5) }),
  "conv2d with half a group": () => vlm.conv2d(t(1, 1, 8, 8), t(4, 2, 3, 3), { groups: 0.5 }),
  "conv2d with a kernel of nothing": () => vlm.conv2d(t(1, 3, 8, 8), t(4, 3, 0, 3)),
  "conv2d with padding by another word": () => vlm.conv2d(t(1, 3, 8, 8), t(4, 3, 3, 3), { padding: "valid" as never }),
  "convTranspose2d with a bias of other channels": () =>
    vlm.convTranspose2d(t(1, 2, 8, 8), t(2, 1, 3, 3), { bias: t(5) }),
  "layerNorm with a weight that would make it larger": () => vlm.layerNorm(t(2, 1), { weight: t(5) }),
  "rmsNorm with a weight of more axes": () => vlm.rmsNorm(t(2, 3), { weight: t(4, 1, 3) }),
  "groupNorm with a weight of other channels": () => vlm.groupNorm(t(1, 1, 4), 1, { weight: t(3) }),
  "batchNorm with statistics of other channels": () =>
    vlm.batchNorm(t(1, 1, 4), { mean: t(3), variance: vlm.ones([3]) }),
  "fromHost of too few elements": () => vlm.fromHost(new Float32Array(3), [4], "f32"),
  "fromHost of another array": () => vlm.fromHost(new Float32Array(4), [4], "i32"),
  "a gradient by one tensor without brackets": () => vlm.grad(t(2).sum(), t(2) as never),
  "a gradient by a number": () => vlm.grad(t(2).sum(), [1 as never]),
  "a gradient of an integer": () => vlm.grad(of("i32", 2).sum(), [t(2)]),
  "customGradient with a gradient of another shape": () => {
    const x = t(2, 3);
    const f = vlm.customGradient(
      (a) => a.sum(),
      (dy) => [dy],
    );
    return vlm.grad(f(x), [x]);
  },
  "customGradient with a gradient too few": () => {
    const x = t(2);
    const f = vlm.customGradient(
      (a, b) => a.mul(b),
      (dy) => [dy],
    );
    return vlm.grad(f(x, x).sum(), [x]);
  },
  "customGradient of a number": () =>
    vlm.customGradient(
      () => 1 as never,
      () => [],
    )(t(2)),
  "checkpoint of several tensors": () => vlm.checkpoint((x) => [x, x] as never)(t(2)),
  "pullback with a gradient too few": () => vlm.pullback([t(2)], [], [t(2)]),
  "random numbers from a number": () => vlm.random.normal(0 as never, [2]),
  "random integers below themselves": () => vlm.random.integers(vlm.random.key(0), [3], 5, 5),
  "random integers up to a half": () => vlm.random.integers(vlm.random.key(0), [3], 0, 2.5),
  "random numbers from high to low": () => vlm.random.uniform(vlm.random.key(0), [3], 1, 0),
  "bernoulli with more probabilities than draws": () => vlm.random.bernoulli(vlm.random.key(0), [2], vlm.ones([3, 2])),
  "bernoulli with a probability of two": () => vlm.random.bernoulli(vlm.random.key(0), [2], 2),
  "a key folded with a negative number": () => vlm.random.fold(vlm.random.key(0), -1),
  "random numbers from what is no key": () => vlm.random.uniform(t(2), [3]),
  "a seed that is no whole number": () => vlm.random.key(0.5),
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

test("expectShape gives the sizes by name", () => {
  const { B, H, W } = vlm.expectShape(t(2, 3, 8, 9), "B 3 H W");
  expect([B, H, W]).toEqual([2, 8, 9]);
  expect(vlm.expectShape(t(5, 7, 5), "N _ N", { N: 5 })).toEqual({ N: 5 });
  // @ts-expect-error: the pattern has no D.
  expect(vlm.expectShape(t(1), "N").D).toBeUndefined();
});

test("an error names the module it happened in", () => {
  const call = () => vlm.context({ path: ["vit", "blocks.3", "attention"] }, () => t(2, 768).matmul(t(512, 512)));
  expect(call).toThrowErrorMatchingSnapshot();
});
