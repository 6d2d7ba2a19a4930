/** Composite ops and kernels: every device against the reference, and gradients of both orders. */
import { describe, expect, test } from "vitest";
import { isFloat } from "../../src/dtype.ts";
import { callKernel } from "../../src/graph/kernel.ts";
import { realize, type Tensor } from "../../src/index.ts";
import type { Attributes, KernelOp } from "../../src/op.ts";
import { scanOp } from "../../src/ops/scan.ts";
import { scatterOp } from "../../src/ops/scatter.ts";
import { sortOp } from "../../src/ops/sort.ts";
import { CASES } from "./cases.ts";
import { inputsOf, outputsOf, valuesOf } from "./composite-inputs.ts";
import {
  epsilon,
  expectNear,
  gradcheck,
  gradientLoss,
  make,
  numbers,
  OTHERS,
  onDevice,
  sampled,
  seedOf,
  sequence,
  type TestDevice,
  use,
  weighted,
} from "./harness.ts";

describe.each(OTHERS)("composites on %s", (device: TestDevice) => {
  test.each((device === "webgpu" ? CASES : sampled(device, CASES)).map((each) => [each.name, each] as const))(
    "%s",
    async (name, each) => {
      const build = () => outputsOf(each, inputsOf(each));
      await use("js");
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
    },
  );

  // Narrow floats: f32 inside, rounded where stored. What is compared is the order of magnitude of the error.
  const narrow = CASES.filter(
    (each) => each.inputs.some((input) => input.dtype === undefined) && each.orders !== 0,
  ).map((each, i) => [each.name, each, i % 2 === 0 ? "f16" : "bf16"] as const);
  test.each(sampled(device, narrow, 3))("%s in half precision", async (name, each, dtype) => {
    const build = () => outputsOf(each, inputsOf(each, dtype));
    await use("js");
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
  });
});

describe("gradients of composites", () => {
  const checked = CASES.filter((each) => each.orders !== 0 && each.inputs.some((input) => input.dtype === undefined));
  test.each(checked.map((each) => [each.name, each] as const))("%s", async (name, each) => {
    await use("js");
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

describe.each(["js", ...OTHERS] as TestDevice[])("references of kernels on %s", (device) => {
  const next = sequence(5);
  const rows = numbers(next, "f32", 3 * 70, -2, 2).map((v) => Math.round(v * 4) / 4);
  const x = (n: number): Tensor => make(rows.slice(0, 3 * n), [3, n], "f32");
  const ids = (): Tensor => make([1, 3, 1, 7, 0, -1, 3], [7], "i32");
  const updates = (): Tensor => make(rows.slice(0, 14), [7, 2], "f32");
  const base = (): Tensor => make(rows.slice(20, 30), [5, 2], "f32");
  const flags = [false, true];
  const folds = ["add", "max", "min", "mul"] as const;
  const calls: [string, KernelOp, () => Tensor[], Attributes][] = [
    ...folds.flatMap((combine) =>
      flags.flatMap((reverse) =>
        flags.flatMap((exclusive) =>
          [1, 5, 70].map((n): [string, KernelOp, () => Tensor[], Attributes] => {
            const scaled = () => [combine === "mul" ? x(n).mul(0.25).add(1) : x(n)];
            return [`scan ${combine} ${n} ${reverse} ${exclusive}`, scanOp, scaled, { combine, reverse, exclusive }];
          }),
        ),
      ),
    ),
    ...flags.map((descending): [string, KernelOp, () => Tensor[], Attributes] => [
      `sort ${descending}`,
      sortOp,
      () => [x(70)],
      { descending },
    ]),
    ...(["set", ...folds] as const).map((combine): [string, KernelOp, () => Tensor[], Attributes] => [
      `scatter ${combine}`,
      scatterOp,
      () => [ids(), updates(), base()],
      { rows: 5, combine },
    ]),
  ];
  test("scan, sort and scatter are what their definitions say", async () => {
    const want = await onDevice("js", () =>
      calls.flatMap(([, op, inputs, attributes]) => [...callKernel(op, inputs(), attributes)]),
    );
    const got = await onDevice(device, () =>
      calls.flatMap(([, op, inputs, attributes]) => [...op.reference!(inputs(), attributes)]),
    );
    const names = calls.flatMap(([name, op]) => (op === sortOp ? [`${name} values`, `${name} indices`] : [name]));
    names.forEach((name, i) => {
      expectNear(got[i]!, want[i]!, "f32", { ulp: 64, absolute: 1e-5 }, name);
    });
  });
});

test("every case has a name of its own", async () => {
  await realize();
  expect(new Set(CASES.map((each) => each.name)).size).toBe(CASES.length);
});
