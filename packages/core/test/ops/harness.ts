/** What the conformance tests share: devices, deterministic samples, views of them, comparisons, gradient checks. */
import { expect } from "vitest";
import { computeType, type DType, isFloat, roundTo } from "../../src/dtype.ts";
import { type DeviceName, fromHost, grad, realize, type Tensor, tensor, useDevice } from "../../src/index.ts";

/** Devices under test: `VLM_TEST_DEVICES=js,wasm,webgpu`; the reference and wasm by default. */
export const DEVICES = (process.env.VLM_TEST_DEVICES ?? "js,wasm").split(",").filter(Boolean) as DeviceName[];

/** Devices whose results are compared with the reference's. */
export const OTHERS = DEVICES.filter((name) => name !== "js");

/** With VLM_FULL=1, every combination; else each pair of choices at least once. */
export const FULL = process.env.VLM_FULL === "1";

/** A deterministic sequence of numbers in [0, 1) (mulberry32). */
export function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed from a name, so that a case's numbers do not depend on the others. */
export function seedOf(name: string): number {
  let hash = 2166136261;
  for (const c of name) hash = Math.imul(hash ^ c.codePointAt(0)!, 16777619);
  return hash >>> 0;
}

/** Numbers of a dtype between low and high, as the dtype holds them. */
export function numbers(next: () => number, dtype: DType, size: number, low = -4, high = 4): number[] {
  return Array.from({ length: size }, () => {
    if (dtype === "bool") return next() < 0.5 ? 0 : 1;
    const from = dtype === "u32" || dtype === "u8" ? Math.max(0, low) : low;
    const x = from + (high - from) * next();
    if (isFloat(dtype)) return roundTo(dtype, x);
    return roundTo(dtype, Math.floor(x));
  });
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export const make = (values: readonly number[], shape: readonly number[], dtype: DType): Tensor =>
  tensor(Float64Array.from(values), { shape, dtype });

/** Ways for the same elements to lie in memory. */
export const LAYOUTS = ["contiguous", "transposed", "sliced", "reversed", "stretched"] as const;
export type Layout = (typeof LAYOUTS)[number];

/** A tensor of `shape` whose elements are reached in the given way; `draw(n)` makes n numbers. */
export function laidOut(layout: Layout, shape: readonly number[], dtype: DType, draw: (n: number) => number[]): Tensor {
  const size = sizeOf(shape);
  if (layout === "transposed" && shape.length >= 2) {
    const swapped = [...shape.slice(0, -2), shape[shape.length - 1]!, shape[shape.length - 2]!];
    return make(draw(size), swapped, dtype).transpose();
  }
  if (layout === "sliced") {
    // One row before, every second element, some behind.
    const wide = shape.map((n, i) => (i === shape.length - 1 ? 2 * n + 3 : n + 1));
    const cut = shape.map((n, i): [number, number, number] =>
      i === shape.length - 1 ? [2, 2 + 2 * n, 2] : [1, n + 1, 1],
    );
    return make(draw(sizeOf(wide)), wide, dtype).slice(...cut);
  }
  if (layout === "reversed") {
    return make(draw(size), shape, dtype).flip([shape.length - 1]);
  }
  if (layout === "stretched") {
    const narrow = shape.map((n, i) => (i === 0 && n > 0 ? 1 : n));
    return make(draw(sizeOf(narrow)), narrow, dtype).expand(shape);
  }
  return make(draw(size), shape, dtype);
}

/** Relative size of one unit in the last place of a dtype. */
export const epsilon = (dtype: DType): number => (dtype === "f16" ? 2 ** -10 : dtype === "bf16" ? 2 ** -7 : 2 ** -23);

/** Elements of a tensor as the reference device holds them, in float64. */
export async function float64(x: Tensor): Promise<Float64Array> {
  await realize(x);
  const buffer = (x.node.storage as unknown as { buffer: { data: Float64Array } | null }).buffer;
  return buffer ? buffer.data : Float64Array.from(await x.data());
}

/** Builds the tensors anew on each device (js first) and reads them, all in one plan per device. */
export async function onDevice(name: DeviceName, build: () => readonly Tensor[]): Promise<ArrayLike<number>[]> {
  await useDevice(name);
  const tensors = build();
  await realize(...tensors);
  return Promise.all(tensors.map((x) => x.data()));
}

/** Fails with the first element that is too far off. */
export function expectNear(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  dtype: DType,
  tolerance: { ulp: number; absolute: number },
  what: string,
): void {
  expect(got.length, what).toBe(want.length);
  const relative = tolerance.ulp * epsilon(dtype);
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i]!, roundTo(dtype, want[i]!)];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const limit = computeType(dtype) === "f32" ? relative * Math.abs(want[i]!) + tolerance.absolute : 0;
    const near = Math.abs(a - b) <= limit;
    if (!near) expect.fail(`${what}: element ${i} is ${a}, not ${b} (± ${limit})`);
  }
}

/** A scalar function of float tensors. */
export type Loss = (inputs: readonly Tensor[]) => Tensor;

/**
 * Compares gradients with central differences along random directions, in float64 on the reference device: for a step d,
 * L(x + d) − L(x − d) = 2·g·d up to the third order.
 */
export async function gradcheck(
  name: string,
  loss: Loss,
  points: readonly { values: readonly number[]; shape: readonly number[] }[],
  options: { step?: number; tolerance?: number; directions?: number } = {},
): Promise<void> {
  await useDevice("js");
  const { step = 1e-3, tolerance = 2e-4, directions = 2 } = options;
  const next = sequence(seedOf(name) + 7);
  const tensorOf = (values: Float32Array, i: number): Tensor => fromHost(values, points[i]!.shape, "f32");
  const centre = points.map((p, i) => tensorOf(Float32Array.from(p.values), i));
  const gradients = grad(loss(centre), centre);
  const plans: { forward: Tensor; backward: Tensor; moves: Float64Array[] }[] = [];
  for (let k = 0; k < directions; k++) {
    const moved = points.map((p) => {
      const direction = p.values.map(() => step * (2 * next() - 1));
      const up = Float32Array.from(p.values, (v, i) => v + direction[i]!);
      const down = Float32Array.from(p.values, (v, i) => v - direction[i]!);
      return { up, down, move: Float64Array.from(up, (v, i) => v - down[i]!) };
    });
    plans.push({
      forward: loss(moved.map((m, i) => tensorOf(m.up, i))),
      backward: loss(moved.map((m, i) => tensorOf(m.down, i))),
      moves: moved.map((m) => m.move),
    });
  }
  await realize(...gradients, ...plans.flatMap((p) => [p.forward, p.backward]));
  const values = await Promise.all(gradients.map(float64));
  for (const { forward, backward, moves } of plans) {
    const change = (await float64(forward))[0]! - (await float64(backward))[0]!;
    let predicted = 0;
    let scale = 0;
    moves.forEach((move, i) => {
      move.forEach((d, j) => {
        const part = d * values[i]![j]!;
        predicted += part;
        scale += Math.abs(part);
      });
    });
    const limit = tolerance * scale + 1e-7 * step;
    if (!(Math.abs(change - predicted) <= limit)) {
      expect.fail(`${name}: the loss changes by ${change}, the gradient says ${predicted} (± ${limit})`);
    }
  }
}

/** Σ c·y over all float outputs, with fixed random c: one number that depends on every element. */
export function weighted(outputs: readonly Tensor[], seed: number): Tensor {
  const next = sequence(seed);
  const sums = outputs
    .filter((y) => isFloat(y.dtype))
    .map((y) => y.mul(make(numbers(next, "f32", y.size, -1, 1), y.shape, "f32")).sum());
  return sums.reduce((a, b) => a.add(b));
}

/** The loss Σ u·∂L/∂x with fixed random u: its gradient is a second-order one. */
export const gradientLoss =
  (loss: Loss, seed: number): Loss =>
  (inputs) =>
    weighted(grad(loss(inputs), inputs), seed);
