import { type DType, type Tensor, tensor } from "@vlm/core";
import { expect } from "vitest";

/** A tensor in a fixture file. */
export type Packed = { dtype?: DType; shape: number[]; data: number[] };

export const unpack = ({ dtype = "f32", shape, data }: Packed): Tensor =>
  tensor(Float64Array.from(data), { shape, dtype });

/** Fails when an element is further from the expected one than `tolerance` (absolute and relative to the largest). */
export async function expectClose(actual: Tensor, expected: Packed, tolerance = 1e-5): Promise<void> {
  expect(actual.shape).toEqual(expected.shape);
  const data = await actual.data();
  const largest = Math.max(1, ...expected.data.map(Math.abs));
  let worst = 0;
  for (const [i, value] of expected.data.entries()) {
    const distance = Math.abs(data[i]! - value);
    worst = Math.max(worst, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
  }
  expect(worst / largest, "largest difference").toBeLessThanOrEqual(tolerance);
}
