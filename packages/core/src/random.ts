/**
 * Counter-based random numbers: a key and a position give a number, the same on every device; there is no hidden state.
 * Keys, splitting and bits follow JAX's Threefry with "partitionable" counters, so known answers can be compared.
 */
import { currentPath } from "./context.ts";
import { printable, VlmError } from "./errors.ts";
import { Tensor } from "./methods.ts";
import { bitcast, bitOr, shiftRight } from "./ops/bits.ts";
import { fromHost } from "./ops/create.ts";
import { applyElementwise } from "./ops/define.ts";
import { erf64, erfinv } from "./ops/error-function.ts";
import { log } from "./ops/exponential.ts";
import { asIndices } from "./ops/indices.ts";
import { concat } from "./ops/join.ts";
import { argsort } from "./ops/sort.ts";
import { iota } from "./ops/source.ts";
import { argmax } from "./ops/statistics.ts";
import { take } from "./ops/take.ts";
import { threefryBitsOp, threefryHighOp, threefryLowOp } from "./ops/threefry.ts";
import { expand } from "./ops/view.ts";
import { checkShape, expectWhole, type Shape, shown, sizeOf } from "./shape.ts";

/** A key, u32 [2], from a seed: a whole number from 0 to 2⁵³ − 1. */
export function key(seed: number): Tensor {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new VlmError("ArgumentError", "RANDOM_SEED", {
      what: `random.key: ${seed} is no seed`,
      hint: "seeds are whole numbers from 0 to 2^53 − 1",
    });
  }
  return fromHost(Uint32Array.of(Math.floor(seed / 2 ** 32), seed % 2 ** 32), [2], "u32");
}

function checkKey(op: string, x: Tensor): Tensor {
  if (x instanceof Tensor && x.dtype === "u32" && x.rank === 1 && x.shape[0] === 2) return x;
  throw new VlmError("ArgumentError", "RANDOM_KEY", {
    what: `random.${op}: the key is ${x instanceof Tensor ? `${x.dtype} ${shown(x.shape)}` : printable(String(x))}`,
    where: currentPath() ?? undefined,
    hint: "make keys with random.key(seed), random.split or random.fold",
  });
}

/** A cipher word for each counter (u32 [n]). */
function words(op: typeof threefryBitsOp, from: Tensor, counters: Tensor): Tensor {
  const word = (i: number): Tensor => from.slice([i, i + 1]).expand(counters.shape);
  return applyElementwise(op, [word(0), word(1), counters]);
}

const keysAt = (from: Tensor, counters: Tensor): Tensor => {
  const [high, low] = [words(threefryHighOp, from, counters), words(threefryLowOp, from, counters)];
  return concat([high.reshape([-1, 1]), low.reshape([-1, 1])], 1);
};

/** `count` independent keys made from one. Use a key once: to draw, or to split. */
export function split(from: Tensor, count = 2): Tensor[] {
  checkKey("split", from);
  const keys = keysAt(from, iota(count).cast("u32"));
  return Array.from({ length: count }, (_, i) => keys.slice(i));
}

/** A new key from a key and a number (or an integer scalar tensor, such as a step count). */
export function fold(from: Tensor, data: Tensor | number): Tensor {
  checkKey("fold", from);
  const counter =
    data instanceof Tensor
      ? asIndices("random.fold", data).cast("u32").reshape([1])
      : fromHost(Uint32Array.of(expectWhole("random.fold", "the number", data, 0, 2 ** 32 - 1)), [1], "u32");
  return keysAt(from, counter).reshape([2]);
}

/** 32 random bits for each element, u32. */
export function bits(from: Tensor, shape: Shape): Tensor {
  checkKey("bits", from);
  checkShape("random.bits", shape);
  return words(threefryBitsOp, from, iota(sizeOf(shape)).cast("u32")).reshape(shape);
}

/** A number in [0, 1) with 23 random bits: the bits become the fraction of a float in [1, 2). */
const unit = (from: Tensor, shape: Shape): Tensor =>
  bitcast(bitOr(shiftRight(bits(from, shape), 9), 0x3f800000), "f32").sub(1);

/** Uniform on [low, high), f32. */
export function uniform(from: Tensor, shape: Shape, low = 0, high = 1): Tensor {
  const u = unit(from, shape);
  expectOrder("uniform", low, high);
  return low === 0 && high === 1
    ? u
    : u
        .mul(high - low)
        .add(low)
        .maximum(low);
}

function expectOrder(op: string, low: number, high: number): void {
  if (low <= high) return;
  throw new VlmError("ArgumentError", "RANDOM_RANGE", {
    what: `random.${op}: from ${low} to ${high}`,
    hint: "the lower limit comes first",
  });
}

/** The least f32 above −1. */
const ABOVE_MINUS_ONE = -(1 - 2 ** -24);

/** Standard normal, by the inverse error function of a uniform number: √2·erf⁻¹(u), u in (−1, 1). */
export function normal(from: Tensor, shape: Shape, options: { mean?: number; std?: number } = {}): Tensor {
  const { mean = 0, std = 1 } = options;
  const z = erfinv(uniform(from, shape, ABOVE_MINUS_ONE, 1)).mul(Math.SQRT2 * std);
  return mean === 0 ? z : z.add(mean);
}

/** Normal with mean and deviation, limited to low … high deviations from the mean (default ±2), without rejection. */
export function truncatedNormal(
  from: Tensor,
  shape: Shape,
  options: { mean?: number; std?: number; low?: number; high?: number } = {},
): Tensor {
  const { mean = 0, std = 1, low = -2, high = 2 } = options;
  expectOrder("truncatedNormal", low, high);
  const [a, b] = [erf64(low * Math.SQRT1_2), erf64(high * Math.SQRT1_2)];
  const z = erfinv(uniform(from, shape, a, b))
    .mul(Math.SQRT2)
    .maximum(low)
    .minimum(high);
  return z.mul(std).add(mean);
}

/** bool, true with probability p (a number, or a tensor that broadcasts to the shape). */
export function bernoulli(from: Tensor, shape: Shape, p: Tensor | number = 0.5): Tensor {
  if (p instanceof Tensor) return unit(from, shape).lt(expand(p, shape));
  if (p >= 0 && p <= 1) return unit(from, shape).lt(p);
  throw new VlmError("ArgumentError", "RANDOM_PROBABILITY", {
    what: `random.bernoulli: a probability of ${p}`,
    hint: "probabilities run from 0 to 1",
  });
}

/** Standard Gumbel: −log(−log u), u in (0, 1). */
export function gumbel(from: Tensor, shape: Shape): Tensor {
  return log(log(uniform(from, shape, 2 ** -126, 1)).neg()).neg();
}

/**
 * Indices (i32) drawn with probabilities softmax(logits) along the last axis, by the Gumbel trick. `shape` are leading
 * axes of independent draws: logits [… C] give [shape… …].
 */
export function categorical(from: Tensor, logits: Tensor, shape: Shape = []): Tensor {
  const full = [...shape, ...logits.shape];
  return argmax(gumbel(from, full).add(logits.cast("f32")), -1);
}

/** A random order of 0 … n − 1 (i32), or a tensor's slices along axis 0 in a random order: sorted by random bits. */
export function permutation(from: Tensor, x: number | Tensor): Tensor {
  const n = typeof x === "number" ? x : x.shape[0]!;
  const order = argsort(bits(from, [n]));
  return typeof x === "number" ? order : take(x, order);
}

/** Whole numbers (i32) from low to high − 1, each equally likely up to 2⁻²³. */
export function integers(from: Tensor, shape: Shape, low: number, high: number): Tensor {
  expectWhole("random.integers", "low", low, -(2 ** 31));
  expectWhole("random.integers", "high", high, low + 1, 2 ** 31);
  return unit(from, shape)
    .mul(high - low)
    .floor()
    .cast("i32")
    .minimum(high - low - 1)
    .add(low);
}
