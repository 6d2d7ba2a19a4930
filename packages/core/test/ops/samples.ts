/** Deterministic samples of numbers and layouts, for tests in Node and in pages. */
import { computeType, type DType, isFloat, roundTo } from "../../src/dtype.ts";
import { type DeviceName, realize, type Tensor, tensor, useDevice } from "../../src/index.ts";

/** `npm run test:full`: every combination; else each pair of choices at least once. */
export const FULL = typeof process !== "undefined" && process.env?.VLM_TEST === "full";

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

/** Builds the tensors anew on each device (js first) and reads them, all in one plan per device. */
export async function onDevice(name: DeviceName, build: () => readonly Tensor[]): Promise<ArrayLike<number>[]> {
  await useDevice(name);
  return readAll(build());
}

/** The elements of all, computed in one plan. */
export async function readAll(tensors: readonly Tensor[]): Promise<ArrayLike<number>[]> {
  await realize(...tensors);
  return Promise.all(tensors.map((x) => x.data()));
}

/** The first element that is too far off; null when there is none. */
export function firstOff(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  dtype: DType,
  tolerance: { ulp: number; absolute: number },
): string | null {
  if (got.length !== want.length) return `there are ${got.length} elements, not ${want.length}`;
  const relative = tolerance.ulp * epsilon(dtype);
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i]!, roundTo(dtype, want[i]!)];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const limit = computeType(dtype) === "f32" ? relative * Math.abs(want[i]!) + tolerance.absolute : 0;
    if (!(Math.abs(a - b) <= limit)) return `element ${i} is ${a}, not ${b} (± ${limit})`;
  }
  return null;
}
