/** Composite ops and kernels with arguments: each is run on every device and its gradients are checked. */
import type { DType } from "../../src/dtype.ts";
import type { Tensor } from "../../src/index.ts";
import * as vlm from "../../src/index.ts";

export type Input = {
  shape: readonly number[];
  dtype?: DType;
  low?: number;
  high?: number;
  values?: readonly number[];
  /** Elements keep a distance from each other: extrema are not near ties. */
  distinct?: boolean;
};

export type OpCase = {
  name: string;
  inputs: readonly Input[];
  fn: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
  ulp?: number;
  absolute?: number;
  /** Which orders of gradient are checked; default 2. */
  orders?: 0 | 1 | 2;
};

const f = (...shape: number[]): Input => ({ shape });
const positive = (...shape: number[]): Input => ({ shape, low: 0.2, high: 3 });
const small = (...shape: number[]): Input => ({ shape, low: -0.9, high: 0.9 });
const distinct = (...shape: number[]): Input => ({ shape, distinct: true });
const ints = (values: readonly number[], ...shape: number[]): Input => ({
  shape: shape.length > 0 ? shape : [values.length],
  dtype: "i32",
  values,
});
const bools = (...shape: number[]): Input => ({ shape, dtype: "bool" });

const attention = (
  name: string,
  inputs: readonly Input[],
  options: (rest: Tensor[]) => vlm.AttentionOptions,
): OpCase => ({
  name: `scaledDotProductAttention ${name}`,
  inputs,
  fn: (q, k, v, ...rest) => vlm.scaledDotProductAttention(q!, k!, v!, options(rest)),
  ulp: 64,
  absolute: 1e-5,
});

const conv = (name: string, x: readonly number[], w: readonly number[], options: vlm.ConvOptions): OpCase => ({
  name: `conv${x.length - 2}d ${name}`,
  inputs: [f(...x), f(...w), f(w[0]!)],
  fn: (input, weight, bias) =>
    (x.length === 3 ? vlm.conv1d : x.length === 4 ? vlm.conv2d : vlm.conv3d)(input!, weight!, {
      ...options,
      bias: bias!,
    }),
  ulp: 64,
  absolute: 1e-4,
});

const convT = (
  name: string,
  x: readonly number[],
  w: readonly number[],
  options: vlm.ConvTransposeOptions,
): OpCase => ({
  name: `convTranspose${x.length - 2}d ${name}`,
  inputs: [f(...x), f(...w), f(w[1]! * (options.groups ?? 1))],
  fn: (input, weight, bias) =>
    (x.length === 3 ? vlm.convTranspose1d : vlm.convTranspose2d)(input!, weight!, { ...options, bias: bias! }),
  ulp: 64,
  absolute: 1e-4,
});

/** The same indices, which the host does not know: they are not checked at the call. */
const computed = (ids: Tensor): Tensor => ids.add(0);

export const CASES: readonly OpCase[] = [
  // Elementwise composites.
  { name: "gelu", inputs: [f(17)], fn: (x) => vlm.gelu(x!), ulp: 16 },
  { name: "gelu tanh", inputs: [f(17)], fn: (x) => vlm.gelu(x!, "tanh"), ulp: 32 },
  { name: "gelu quick", inputs: [f(17)], fn: (x) => vlm.gelu(x!, "quick"), ulp: 16 },
  { name: "silu", inputs: [f(17)], fn: (x) => vlm.silu(x!), ulp: 16 },
  { name: "logSigmoid", inputs: [f(17)], fn: (x) => vlm.logSigmoid(x!), ulp: 16 },
  { name: "leakyRelu", inputs: [f(17)], fn: (x) => vlm.leakyRelu(x!, 0.1) },
  { name: "elu", inputs: [f(17)], fn: (x) => vlm.elu(x!, 0.7), ulp: 16, orders: 1 },
  { name: "clamp", inputs: [f(17)], fn: (x) => vlm.clamp(x!, -1, 2) },
  {
    name: "clamp by tensors",
    inputs: [f(5, 3), small(3), positive(3)],
    fn: (x, a, b) => vlm.clamp(x!, a!.sub(1), b!.add(1)),
  },
  { name: "square, reciprocal", inputs: [positive(9)], fn: (x) => [x!.square(), x!.reciprocal()] },
  {
    name: "pow by a number",
    inputs: [positive(9)],
    fn: (x) => [-2, -1, -0.5, 0.5, 1.5, 2, 3].map((p) => x!.pow(p)),
    ulp: 32,
  },
  {
    name: "pow of negative bases",
    inputs: [{ shape: [9], low: -3, high: -0.5 }],
    fn: (x) => [x!.pow(4), x!.pow(5)],
    ulp: 32,
  },
  {
    name: "mod, remainder",
    inputs: [{ shape: [9], low: 5.2, high: 5.8 }],
    fn: (x) => [vlm.mod(x!, -2), vlm.mod(x!.neg(), 2), x!.remainder(2)],
  },
  {
    name: "mod of integers",
    inputs: [ints([-7, -6, -5, 0, 5, 6, 7])],
    fn: (x) => [vlm.mod(x!, 3), vlm.mod(x!, -3), x!.remainder(3), x!.div(3)],
  },
  { name: "tan", inputs: [small(9)], fn: (x) => vlm.tan(x!), ulp: 8 },
  { name: "asin, acos", inputs: [small(9)], fn: (x) => [vlm.asin(x!), vlm.acos(x!)], ulp: 16 },
  { name: "sinh, cosh", inputs: [f(9)], fn: (x) => [vlm.sinh(x!), vlm.cosh(x!)], ulp: 16 },
  { name: "asinh, atanh", inputs: [small(9)], fn: (x) => [vlm.asinh(x!), vlm.atanh(x!)], ulp: 16 },
  { name: "acosh", inputs: [{ shape: [9], low: 1.2, high: 5 }], fn: (x) => vlm.acosh(x!), ulp: 16 },
  { name: "where, broadcast", inputs: [bools(4, 1), f(3), f(4, 3)], fn: (c, a, b) => vlm.where(c!, a!, b!) },
  {
    name: "isNaN, isFinite, isInfinite",
    inputs: [{ shape: [6], values: [0, 1, -1e38, Infinity, -Infinity, Number.NaN] }],
    fn: (x) => [vlm.isNaN(x!), vlm.isFinite(x!), vlm.isInfinite(x!)],
    orders: 0,
  },
  {
    name: "logic",
    inputs: [bools(8), bools(8)],
    fn: (a, b) => [vlm.logicalAnd(a!, b!), vlm.logicalOr(a!, b!), vlm.logicalXor(a!, b!), vlm.logicalNot(a!)],
  },
  {
    name: "cast to u8 saturates and wraps",
    inputs: [{ shape: [5], values: [-3, 0.7, 254.9, 255.2, 300] }, ints([-1, 255, 256, 511, 5])],
    fn: (x, i) => [x!.cast("u8"), i!.cast("u8"), x!.cast("u8").add(i!.cast("u8"))],
    orders: 0,
  },
  {
    name: "integers wrap",
    inputs: [ints([2147483647, -2147483648, 65536])],
    fn: (x) => [
      x!.add(1),
      x!.mul(65536),
      x!.neg(),
      vlm.shiftLeft(x!, 3),
      vlm.shiftRight(x!, 3),
      vlm.bitNot(x!),
      vlm.bitXor(x!, 12345),
    ],
  },

  // Reductions.
  {
    name: "mean, variance, std",
    inputs: [f(4, 7)],
    fn: (x) => [x!.mean(1), x!.variance(0), x!.std(null, { correction: 1 }), x!.mean()],
    ulp: 16,
  },
  {
    name: "logsumexp",
    inputs: [f(3, 9)],
    fn: (x) => [x!.logsumexp(1), x!.logsumexp(), x!.mul(40).logsumexp(0, { keepDims: true })],
    ulp: 16,
  },
  {
    name: "logsumexp of −∞",
    inputs: [{ shape: [2, 3], values: [-Infinity, -Infinity, -Infinity, -Infinity, 0, 1] }],
    fn: (x) => x!.logsumexp(1),
    orders: 0,
    ulp: 16,
  },
  { name: "max, min", inputs: [distinct(4, 6)], fn: (x) => [x!.max(1), x!.min(0), x!.max()] },
  {
    name: "prod with zeros",
    inputs: [{ shape: [3, 4], values: [1, 2, 0, 4, 0, 1, 0, 2, 1.5, -2, 3, 0.5] }],
    fn: (x) => x!.prod(1),
  },
  {
    name: "any, all",
    inputs: [bools(5, 3)],
    fn: (x) => [vlm.any(x!, 1), vlm.all(x!, 0), vlm.any(x!), vlm.all(x!), x!.max(0), x!.min(1)],
  },
  { name: "any, all of nothing", inputs: [bools(0, 3)], fn: (x) => [vlm.any(x!, 0), vlm.all(x!, 0)] },
  {
    name: "argmax, argmin",
    inputs: [distinct(4, 6), ints([3, 1, 3, 1], 2, 2)],
    fn: (x, i) => [x!.argmax(1), x!.argmin(0), x!.argmax(), i!.argmax(), i!.argmin(0, { keepDims: true })],
    orders: 0,
  },

  // Index ops.
  { name: "take rows", inputs: [f(5, 3), ints([4, 0, 0, 2])], fn: (x, i) => vlm.take(x!, i!) },
  {
    name: "take on axis 1, out of range",
    inputs: [f(2, 5, 3), ints([4, -1, 9, 2], 2, 2)],
    fn: (x, i) => vlm.take(x!, computed(i!), 1),
    orders: 0,
  },
  {
    name: "take of integers, out of range",
    inputs: [ints([7, 8, 9]), ints([2, 3, -1, 0])],
    fn: (x, i) => vlm.take(x!, computed(i!)),
  },
  { name: "embedding", inputs: [f(7, 4), ints([1, 6, 1, 0, 3, 3], 2, 3)], fn: (x, i) => vlm.embedding(i!, x!) },
  {
    name: "cross entropy of classes that there are not",
    inputs: [f(5, 4), ints([3, 4, -1, -100, 0])],
    fn: (x, i) => vlm.crossEntropy(x!, computed(i!), { reduction: "none" }),
    orders: 0,
  },
  { name: "gather", inputs: [f(3, 4), ints([0, 3, 1, 1, 2, 0], 3, 2)], fn: (x, i) => vlm.gather(x!, i!, 1) },
  {
    name: "gather on axis 0",
    inputs: [f(3, 4), ints([0, 2, 1, 1, 2, 0, 0, 1], 2, 4)],
    fn: (x, i) => vlm.gather(x!, i!, 0),
  },
  {
    name: "gather, out of range",
    inputs: [f(3, 2), ints([0, 2, -1, 1, 1, 5], 3, 2)],
    fn: (x, i) => vlm.gather(x!, computed(i!), 1),
    orders: 0,
  },
  ...(["add", "set", "max", "min", "mul"] as const).map(
    (combine): OpCase => ({
      name: `scatterRows ${combine}`,
      inputs: [distinct(5, 3), distinct(4, 3), ints([1, 3, 1, 7])],
      fn: (x, u, i) => vlm.scatterRows(x!, i!, u!, { combine }),
      ulp: 16,
      // The samples hold a 0: there the second derivative of a product is not followed.
      orders: combine === "mul" ? 1 : 2,
    }),
  ),
  {
    name: "scatterRows of nothing",
    inputs: [f(3, 2), f(0, 2), ints([], 0)],
    fn: (x, u, i) => vlm.scatterRows(x!, i!, u!, { combine: "set" }),
  },
  {
    name: "sort of nothing",
    inputs: [f(0, 3)],
    fn: (x) => vlm.sort(x!).values,
  },
  {
    name: "scatterRows without base",
    inputs: [f(4, 3), ints([1, 3, 1, -1])],
    fn: (u, i) => vlm.scatterRows(null, i!, u!, { rows: 5 }),
  },
  {
    name: "scatter",
    inputs: [f(3, 4), f(2, 3), ints([0, 3, 1, 1, 2, 0], 2, 3)],
    fn: (x, u, i) => [
      vlm.scatter(x!, i!, u!, 1),
      vlm.scatterAdd(x!, i!, u!, 1),
      vlm.scatter(x!, vlm.mod(i!, 3), u!, 0, "add"),
    ],
  },
  { name: "oneHot", inputs: [ints([0, 3, -1, 2])], fn: (i) => vlm.oneHot(i!, 4) },
  ...Object.entries({ cumsum: vlm.cumsum, cumprod: vlm.cumprod, cummax: vlm.cummax, cummin: vlm.cummin }).flatMap(
    ([name, scan]): OpCase[] => [
      {
        name,
        inputs: [{ shape: [3, 7], low: 0.5, high: 1.5, distinct: name.startsWith("cumm") }],
        fn: (x) => [scan(x!, 1), scan(x!, 0, { exclusive: true, reverse: true })].map((y) => y.clamp(-100, 100)),
        ulp: 32,
        absolute: 1e-5,
      },
      {
        name: `${name} of integers`,
        inputs: [ints([3, -1, 4, 1, -5, 9, 2, 6], 2, 4)],
        fn: (x) => [scan(x!), scan(x!, 0, { reverse: true })],
      },
    ],
  ),
  {
    name: "cumprod with zeros",
    inputs: [{ shape: [3, 5], values: [1, 2, 0, 4, 3, 0, 1, 0, 2, 5, 1.5, -2, 3, 0.5, 2] }],
    fn: (x) => [vlm.cumprod(x!), vlm.cumprod(x!, 1, { reverse: true })],
    ulp: 32,
    orders: 1,
  },
  { name: "cumsum of one and none", inputs: [f(3, 1), f(2, 0)], fn: (x, y) => [vlm.cumsum(x!), vlm.cumsum(y!)] },
  { name: "cumsum, long", inputs: [f(2, 1000)], fn: (x) => vlm.cumsum(x!), ulp: 64, absolute: 1e-3 },
  {
    name: "sort",
    inputs: [distinct(3, 8)],
    fn: (x) => {
      const s = vlm.sort(x!);
      return [s.values, s.indices];
    },
  },
  {
    name: "sort descending on axis 0 with equals",
    inputs: [ints([3, 1, 2, 3, 1, 2, 2, 1], 4, 2)],
    fn: (x) => {
      const s = vlm.sort(x!, 0, { descending: true });
      return [s.values, s.indices];
    },
  },
  {
    name: "sort with infinities and NaN",
    inputs: [{ shape: [9], values: [1, Number.NaN, -Infinity, 0, -0, Infinity, -1e-20, Number.NaN, 1e30] }],
    fn: (x) => [false, true].map((descending) => vlm.argsort(x!, 0, { descending })),
    orders: 0,
  },
  {
    name: "topk",
    inputs: [distinct(3, 8)],
    fn: (x) => {
      const s = vlm.topk(x!, 3);
      return [s.values, s.indices, vlm.topk(x!, 1, 0, { largest: false }).indices];
    },
  },

  // Joining and taking apart.
  { name: "concat", inputs: [f(2, 3), f(2, 1), f(2, 0), f(2, 4)], fn: (...x) => vlm.concat(x, 1) },
  {
    name: "concat of bool and integers",
    inputs: [bools(3), bools(2), ints([1, 2])],
    fn: (a, b, c) => [vlm.concat([a!, b!]), vlm.concat([a!, c!])],
  },
  { name: "stack", inputs: [f(2, 3), f(2, 3)], fn: (...x) => [vlm.stack(x), vlm.stack(x, -1), vlm.stack(x, 1)] },
  {
    name: "split, chunk",
    inputs: [f(7, 6)],
    fn: (x) => [...vlm.split(x!, 3), ...vlm.split(x!, [1, 5], 1), ...vlm.chunk(x!, 3, 1)],
  },
  {
    name: "tile, repeat, roll, flip",
    inputs: [f(3, 4)],
    fn: (x) => [vlm.tile(x!, [2, 1, 3]), vlm.repeat(x!, 2, 1), vlm.roll(x!, 1, 0), vlm.roll(x!, -3), x!.flip([0, 1])],
  },
  { name: "tril, triu", inputs: [f(4, 5)], fn: (x) => [vlm.tril(x!), vlm.triu(x!, 1), vlm.tril(x!, -2)] },
  {
    name: "slice",
    inputs: [f(5, 6)],
    fn: (x) => [x!.slice(1, [null, null, -2]), x!.slice([1, -1], [4, 1, -1]), x!.slice(null, 2)],
  },
  {
    name: "pad, dilate, windows",
    inputs: [f(3, 5)],
    fn: (x) => [
      x!.pad(
        [
          [1, 2],
          [0, 3],
        ],
        7,
      ),
      x!.dilate([2, 3]),
      vlm.windows(x!, [1], [3], [2], [1]),
      vlm.windows(x!, [1], [2], [1], [3]),
    ],
  },

  // Products.
  { name: "matmul", inputs: [f(5, 7), f(7, 3)], fn: (a, b) => a!.matmul(b!), ulp: 64, absolute: 1e-5 },
  {
    name: "matmul, batched and broadcast",
    inputs: [f(2, 1, 5, 4), f(3, 4, 2)],
    fn: (a, b) => a!.matmul(b!),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "matmul of transposes",
    inputs: [f(7, 5), f(3, 7)],
    fn: (a, b) => a!.transpose().matmul(b!.transpose()),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "matmul of vectors",
    inputs: [f(4), f(4, 3), f(3)],
    fn: (a, m, b) => [a!.matmul(m!), m!.matmul(b!), a!.matmul(a!)],
    ulp: 64,
    absolute: 1e-5,
  },
  { name: "matmul, empty", inputs: [f(3, 0), f(0, 2)], fn: (a, b) => a!.matmul(b!) },
  {
    name: "matmul, 65×130×33",
    inputs: [f(65, 130), f(130, 33)],
    fn: (a, b) => a!.matmul(b!).add(1).relu(),
    ulp: 256,
    absolute: 1e-3,
    orders: 0,
  },
  ...["bhid,bhjd->bhij", "bhij,bhjd->bihd"].map(
    (equation): OpCase => ({
      name: `einsum ${equation}`,
      inputs: [f(2, 3, 4, 5), equation.startsWith("bhid") ? f(2, 3, 6, 5) : f(2, 3, 5, 2)],
      fn: (a, b) => vlm.einsum(equation, a!, b!),
      ulp: 64,
      absolute: 1e-5,
    }),
  ),
  {
    name: "einsum, others",
    inputs: [f(3, 4), f(4, 3), f(2, 3, 3), f(2, 3, 4)],
    fn: (a, b, c, d) => [
      vlm.einsum("ij->ji", a!),
      vlm.einsum("ij->", a!),
      vlm.einsum("ij,jk->k", a!, b!),
      vlm.einsum("bii->bi", c!),
      vlm.einsum("...ii", c!),
      vlm.einsum("ij,ji,bij->b", a!, b!, d!),
      vlm.einsum("i...,...j->j", a!, b!),
    ],
    ulp: 64,
    absolute: 1e-4,
  },
  {
    name: "rearrange",
    inputs: [f(2, 6, 4)],
    fn: (x) => [
      vlm.rearrange(x!, "b (h d) c -> b h (c d)", { h: 2 }),
      vlm.rearrange(x!, "... (h p) -> (... h) 1 p", { p: 2 }),
      vlm.rearrange(x!, "a b c -> c (b a)"),
    ],
  },

  // Rows.
  { name: "softmax", inputs: [f(3, 9)], fn: (x) => [x!.softmax(), x!.softmax(0)], ulp: 32 },
  {
    name: "softmax of great numbers and −∞",
    inputs: [{ shape: [2, 4], values: [1e4, 1e4 - 1, -1e4, -Infinity, -Infinity, 0, 1, 2] }],
    fn: (x) => [x!.softmax(), x!.logSoftmax()],
    ulp: 32,
    orders: 0,
  },
  { name: "logSoftmax", inputs: [f(3, 9)], fn: (x) => [x!.logSoftmax(), x!.logSoftmax(0)], ulp: 32 },
  {
    name: "layerNorm",
    inputs: [f(3, 8), f(8), f(8)],
    fn: (x, weight, bias) => vlm.layerNorm(x!, { weight: weight!, bias: bias! }),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "layerNorm over two axes",
    inputs: [f(3, 4, 5)],
    fn: (x) => vlm.layerNorm(x!, { axes: [1, 2] }),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "rmsNorm",
    inputs: [f(3, 8), f(8)],
    fn: (x, weight) => vlm.rmsNorm(x!, { weight: weight! }),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "groupNorm",
    inputs: [f(2, 6, 3, 2), f(6), f(6)],
    fn: (x, weight, bias) => vlm.groupNorm(x!, 3, { weight: weight!, bias: bias! }),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "batchNorm",
    inputs: [f(3, 4, 2), f(4), f(4)],
    fn: (x, weight, bias) => vlm.batchNorm(x!, { weight: weight!, bias: bias! }),
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "batchNorm by statistics",
    inputs: [f(3, 4, 2), f(4), positive(4)],
    fn: (x, mean, variance) => vlm.batchNorm(x!, { mean: mean!, variance: variance! }),
    ulp: 64,
    absolute: 1e-5,
  },
  { name: "l2Normalize", inputs: [f(3, 5)], fn: (x) => vlm.l2Normalize(x!), ulp: 32 },
  {
    name: "crossEntropy of ids",
    inputs: [f(4, 6), ints([0, 5, -100, 2])],
    fn: (x, t) => [
      vlm.crossEntropy(x!, t!),
      vlm.crossEntropy(x!, t!, { reduction: "none" }),
      vlm.crossEntropy(x!, t!, { labelSmoothing: 0.1, reduction: "sum" }),
    ],
    ulp: 64,
    absolute: 1e-5,
  },
  {
    name: "crossEntropy of probabilities",
    inputs: [f(2, 5, 3), positive(2, 5, 3)],
    fn: (x, t) => vlm.crossEntropy(x!, t!, { axis: 1, labelSmoothing: 0.2 }),
    ulp: 64,
    absolute: 1e-5,
  },

  // Attention.
  attention("plain", [f(2, 3, 5, 4), f(2, 3, 7, 4), f(2, 3, 7, 6)], () => ({})),
  attention("causal", [f(1, 2, 6, 4), f(1, 2, 6, 4), f(1, 2, 6, 4)], () => ({ causal: true })),
  attention("causal with a cache", [f(1, 2, 2, 4), f(1, 2, 6, 4), f(1, 2, 6, 4)], () => ({ causal: true, scale: 0.3 })),
  attention("with grouped queries", [f(2, 4, 3, 4), f(2, 2, 5, 4), f(2, 2, 5, 4)], () => ({})),
  attention(
    "with a mask",
    [
      f(2, 2, 3, 4),
      f(2, 2, 5, 4),
      f(2, 2, 5, 4),
      { shape: [2, 1, 1, 5], dtype: "bool", values: [1, 0, 1, 1, 0, 0, 0, 0, 0, 0] },
    ],
    ([mask]) => ({ mask: mask! }),
  ),
  attention("with a bias", [f(2, 2, 3, 4), f(2, 2, 5, 4), f(2, 2, 5, 4), f(2, 3, 5)], ([bias]) => ({ bias: bias! })),
  attention("with lengths", [f(2, 4, 2, 4), f(2, 2, 5, 4), f(2, 2, 5, 4), ints([5, 3])], ([lengths]) => ({
    lengths: lengths!,
    causal: true,
  })),
  attention("without batch", [f(3, 4), f(5, 4), f(5, 4)], () => ({})),

  // Convolution and pooling.
  conv("3×3, padding", [2, 3, 6, 5], [4, 3, 3, 3], { padding: 1 }),
  conv("stride 2, asymmetric padding", [1, 2, 7, 6], [3, 2, 3, 2], { stride: [2, 3], padding: [[1, 0], 2] }),
  conv("same", [1, 2, 5, 6], [3, 2, 3, 4], { stride: 2, padding: "same" }),
  conv("dilation", [1, 2, 9, 8], [2, 2, 3, 3], { dilation: 2, padding: 1 }),
  conv("groups", [2, 4, 5, 5], [6, 2, 3, 3], { groups: 2, padding: 1 }),
  conv("depthwise, stride 2", [1, 4, 6, 6], [4, 1, 3, 3], { groups: 4, padding: 1, stride: 2 }),
  conv("patches", [2, 3, 8, 8], [5, 3, 4, 4], { stride: 4 }),
  conv("patches that do not divide", [1, 3, 9, 10], [5, 3, 4, 4], { stride: 4 }),
  conv("1×1", [2, 3, 4, 4], [5, 3, 1, 1], {}),
  conv("", [2, 3, 11], [4, 3, 3], { padding: 1 }),
  conv("stride and dilation", [1, 2, 13], [4, 2, 3], { stride: 2, dilation: 2 }),
  conv("", [1, 2, 4, 5, 4], [3, 2, 2, 3, 2], { padding: [0, 1, 0] }),
  convT("stride 2", [1, 3, 4, 5], [3, 2, 4, 4], { stride: 2, padding: 1 }),
  convT("output padding", [1, 3, 4, 3], [3, 2, 3, 3], { stride: 2, padding: 1, outputPadding: 1 }),
  convT("patches", [2, 3, 2, 2], [3, 2, 4, 4], { stride: 4 }),
  convT("groups, dilation", [1, 4, 4, 4], [4, 1, 3, 3], { groups: 2, dilation: 2 }),
  convT("", [2, 3, 5], [3, 2, 4], { stride: 3, padding: [[1, 0]] }),
  {
    name: "maxPool",
    inputs: [distinct(1, 2, 6, 7)],
    fn: (x) => [
      vlm.maxPool(x!, 2),
      vlm.maxPool(x!, 3, { stride: 2, padding: 1 }),
      vlm.maxPool(x!, 3, { stride: 2, ceil: true }),
      vlm.maxPool(x!, 2, { dilation: 2, stride: 1 }),
    ],
  },
  {
    name: "avgPool",
    inputs: [f(1, 2, 6, 7)],
    fn: (x) => [
      vlm.avgPool(x!, 2),
      vlm.avgPool(x!, 3, { stride: 2, padding: 1 }),
      vlm.avgPool(x!, 3, { stride: 2, padding: 1, countPadding: false }),
      vlm.avgPool(x!, 3, { stride: 2, ceil: true }),
      vlm.globalAvgPool(x!),
    ],
    ulp: 32,
    absolute: 1e-5,
  },
  {
    name: "adaptiveAvgPool",
    inputs: [f(2, 3, 5, 7)],
    fn: (x) => [vlm.adaptiveAvgPool(x!, [2, 3]), vlm.adaptiveAvgPool(x!, 1)],
    ulp: 32,
    absolute: 1e-5,
  },
  ...(["nearest", "linear", "cubic"] as const).map(
    (mode): OpCase => ({
      name: `resize ${mode}`,
      inputs: [f(1, 2, 5, 4)],
      fn: (x) => [
        vlm.resize(x!, [10, 8], { mode }),
        vlm.resize(x!, [3, 7], { mode }),
        vlm.resize(x!, [7, 2], { mode, alignCorners: true }),
      ],
      ulp: 64,
      absolute: 1e-5,
    }),
  ),
];
