/** Composite ops and kernels: every device against the reference, and gradients of both orders. */
import { describe, expect, test } from "vitest";
import { type DType, isFloat } from "../../src/dtype.ts";
import { type DeviceName, realize, type Tensor, useDevice } from "../../src/index.ts";
import { CASES, type Input, type OpCase } from "./cases.ts";
import {
  epsilon,
  expectNear,
  gradcheck,
  gradientLoss,
  make,
  numbers,
  OTHERS,
  onDevice,
  seedOf,
  sequence,
  sizeOf,
  weighted,
} from "./harness.ts";

function valuesOf(input: Input, name: string, at: number): number[] {
  if (input.values) return [...input.values];
  const { low = -2, high = 2, dtype = "f32" } = input;
  const next = sequence(seedOf(`${name} ${at}`));
  const size = sizeOf(input.shape);
  if (!input.distinct) return numbers(next, dtype, size, low, high);
  // A shuffled grid: neighbours differ by one step.
  const order = Array.from({ length: size }, (_, i) => i).sort(() => next() - 0.5);
  return order.map((i) => Math.fround(low + ((high - low) * (i + 0.5)) / size));
}

const inputsOf = (each: OpCase, dtype: DType = "f32"): Tensor[] =>
  each.inputs.map((input, i) => {
    const own = input.dtype ?? "f32";
    return make(valuesOf(input, each.name, i), input.shape, isFloat(own) ? dtype : own);
  });

const outputsOf = (each: OpCase, inputs: readonly Tensor[]): readonly Tensor[] =>
  [each.fn(...inputs)].flat() as Tensor[];

describe.each(OTHERS)("composites on %s", (device: DeviceName) => {
  test.each(CASES.map((each) => [each.name, each] as const))("%s", async (name, each) => {
    const build = () => outputsOf(each, inputsOf(each));
    await useDevice("js");
    const specs = build();
    const want = await onDevice("js", build);
    const got = await onDevice(device, build);
    specs.forEach(({ dtype }, i) => {
      expectNear(
        got[i]!,
        want[i]!,
        dtype,
        { ulp: each.ulp ?? 8, absolute: each.absolute ?? 1e-6 },
        `${name}, output ${i}`,
      );
    });
  });

  // Narrow floats: f32 inside, rounded where stored. What is compared is the order of magnitude of the error.
  const narrow = CASES.filter((each) => each.inputs.some((input) => input.dtype === undefined) && each.orders !== 0);
  test.each(narrow.map((each, i) => [each.name, each, i % 2 === 0 ? "f16" : "bf16"] as const))(
    "%s in half precision",
    async (name, each, dtype) => {
      const build = () => outputsOf(each, inputsOf(each, dtype));
      await useDevice("js");
      const specs = build();
      const want = await onDevice("js", build);
      const got = await onDevice(device, build);
      specs.forEach((spec, i) => {
        if (!isFloat(spec.dtype)) return;
        const size = Math.max(1, ...Array.from(want[i]!, (v) => (Number.isFinite(v) ? Math.abs(v) : 0)));
        expectNear(
          got[i]!,
          want[i]!,
          spec.dtype,
          { ulp: 8, absolute: 16 * epsilon(dtype) * size },
          `${name} ${dtype}, output ${i}`,
        );
      });
    },
  );
});

describe("gradients of composites", () => {
  const checked = CASES.filter((each) => each.orders !== 0 && each.inputs.some((input) => input.dtype === undefined));
  test.each(checked.map((each) => [each.name, each] as const))("%s", async (name, each) => {
    await useDevice("js");
    const fixed = inputsOf(each);
    const free = each.inputs.flatMap((input, i) => (input.dtype === undefined ? [i] : []));
    const loss = (inputs: readonly Tensor[]): Tensor => {
      const all = fixed.map((x, i) => (free.includes(i) ? inputs[free.indexOf(i)]! : x));
      return weighted(outputsOf(each, all), seedOf(name));
    };
    const points = free.map((i) => ({ values: valuesOf(each.inputs[i]!, name, i), shape: each.inputs[i]!.shape }));
    await gradcheck(name, loss, points);
    if ((each.orders ?? 2) === 2)
      await gradcheck(`${name}, second order`, gradientLoss(loss, 11), points, { tolerance: 5e-4 });
  });
});

test("every case has a name of its own", async () => {
  await realize();
  expect(new Set(CASES.map((each) => each.name)).size).toBe(CASES.length);
});
