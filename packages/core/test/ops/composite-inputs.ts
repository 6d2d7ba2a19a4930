/** Arguments of the composites' cases, and their results. */
import { type DType, isFloat } from "../../src/dtype.ts";
import type { Tensor } from "../../src/index.ts";
import type { Input, OpCase } from "./cases.ts";
import { make, numbers, seedOf, sequence, sizeOf } from "./samples.ts";

export function valuesOf(input: Input, name: string, at: number): number[] {
  if (input.values) return [...input.values];
  const { low = -2, high = 2, dtype = "f32" } = input;
  const next = sequence(seedOf(`${name} ${at}`));
  const size = sizeOf(input.shape);
  if (!input.distinct) return numbers(next, dtype, size, low, high);
  // A shuffled grid: neighbours differ by one step.
  const order = Array.from({ length: size }, (_, i) => i).sort(() => next() - 0.5);
  return order.map((i) => Math.fround(low + ((high - low) * (i + 0.5)) / size));
}

export const inputsOf = (each: OpCase, dtype: DType = "f32"): Tensor[] =>
  each.inputs.map((input, i) => {
    const own = input.dtype ?? "f32";
    return make(valuesOf(input, each.name, i), input.shape, isFloat(own) ? dtype : own);
  });

export const outputsOf = (each: OpCase, inputs: readonly Tensor[]): readonly Tensor[] =>
  [each.fn(...inputs)].flat() as Tensor[];
