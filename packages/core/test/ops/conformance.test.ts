/** Every op record on every device: values, dtypes, memory layouts, sizes, special numbers, gradients of both orders. */
import { beforeAll, describe, test } from "vitest";
import { type DType, isFloat } from "../../src/dtype.ts";
import { iota, type Tensor } from "../../src/index.ts";
import type { ElementwiseOp, ReduceOp } from "../../src/op.ts";
import { applyElementwise } from "../../src/ops/define.ts";
import { ELEMENTWISE, REDUCTIONS } from "../../src/ops/records.ts";
import { reduce } from "../../src/ops/reduce.ts";
import {
  expectNear,
  FULL,
  gradcheck,
  gradientLoss,
  LAYOUTS,
  laidOut,
  make,
  numbers,
  OTHERS,
  onDevice,
  sampled,
  seedOf,
  sequence,
  sizeOf,
  type TestDevice,
  use,
  weighted,
} from "./harness.ts";
import { applied, argumentsOf, casesOf, targets, tolerance } from "./record-cases.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const SPECIAL = [0, -0, 1, -1, 0.5, -2.5, inf, -inf, nan, 1e20, -1e20, 1e-20];

describe.each(OTHERS)("elementwise ops on %s", (device: TestDevice) => {
  test.each(ELEMENTWISE.map((op) => [op.name, op] as const))("%s", async (_name, op) => {
    const cases = sampled(device, casesOf(op));
    const build = () => cases.map((each) => applied(op, argumentsOf(op, each), each.target));
    const want = await onDevice("js", build);
    const got = await onDevice(device, build);
    cases.forEach((each, i) => {
      const dtype = each.target ?? op.dtype(new Array<DType>(op.arity).fill(each.dtype), {});
      // An f16 argument is exact; its result rounds once more.
      const extra = dtype === "f32" ? 0 : 1;
      const { ulp, absolute } = tolerance(op);
      const narrow = dtype === "f16" || dtype === "bf16";
      expectNear(
        got[i]!,
        want[i]!,
        dtype,
        { ulp: narrow ? 1 + extra : ulp, absolute: narrow ? 1e-5 : absolute },
        each.name,
      );
    });
  });

  const safe = ELEMENTWISE.filter(
    (op) => (op.test?.dtypes ?? ["f32"]).includes("f32") && (device !== "webgpu" || op.test?.nanSafe !== false),
  );
  test.each(safe.map((op) => [op.name, op] as const))("%s of NaN, infinities and zeros", async (_name, op) => {
    const tuples =
      op.arity === 1
        ? SPECIAL.map((a) => [a])
        : SPECIAL.flatMap((a) => SPECIAL.map((b) => (op.arity === 2 ? [a, b] : [b > 0 ? 1 : 0, a, b])));
    const build = () => {
      const args = Array.from({ length: op.arity }, (_, at) =>
        make(
          tuples.map((t) => t[at]!),
          [tuples.length],
          op.name === "where" && at === 0 ? "bool" : "f32",
        ),
      );
      return targets(op, "f32").map((target) => applied(op, args, target));
    };
    const want = await onDevice("js", build);
    const got = await onDevice(device, build);
    targets(op, "f32").forEach((target, k) => {
      tuples.forEach((tuple, i) => {
        if (tuple.every(Number.isFinite) && op.test?.within?.(...tuple) === false) return;
        const dtype = target ?? op.dtype(new Array<DType>(op.arity).fill("f32"), {});
        const name = `${op.name}(${tuple.join(", ")})${target ? ` as ${target}` : ""}`;
        expectNear([got[k]![i]!], [want[k]![i]!], dtype, { ulp: Math.max(8, tolerance(op).ulp), absolute: 1e-6 }, name);
      });
    });
  });
});

describe("elementwise ops, exact points", () => {
  const known = ELEMENTWISE.filter((op) => op.test?.points?.[0] && op.test.points[0].length === op.arity + 1);
  test.each(known.map((op) => [op.name, op] as const))("%s", async (_name, op) => {
    const points = op.test!.points!;
    const build = () => {
      const args = Array.from({ length: op.arity }, (_, at) =>
        make(
          points.map((p) => p[at]!),
          [points.length],
          "f32",
        ),
      );
      return [applyElementwise(op, args)];
    };
    for (const device of ["js", ...OTHERS] as TestDevice[]) {
      const [got] = await onDevice(device, build);
      expectNear(
        got!,
        points.map((p) => p.at(-1)!),
        "f32",
        { ulp: tolerance(op).ulp, absolute: 0 },
        `${op.name} on ${device}`,
      );
    }
  });
});

/** Values where the op is differentiable; numbers, not tensors. */
function smoothPoints(
  op: ElementwiseOp | ReduceOp,
  count: number,
  arity: number,
): { values: number[]; shape: number[] }[] {
  const next = sequence(seedOf(op.name));
  const lists: number[][] = Array.from({ length: arity }, () => []);
  for (let tries = 0; lists[0]!.length < count && tries < 10_000; tries++) {
    const tuple = lists.map((_, at) => {
      const [low, high] = op.test?.domain?.[at] ?? op.test?.domain?.at(-1) ?? [-4, 4];
      const [a, b] = [Math.max(low, -8), Math.min(high, 8)];
      const margin = (b - a) * 0.02;
      return numbers(next, "f32", 1, a + margin, b - margin)[0]!;
    });
    if (op.test?.smoothAt?.(...tuple) === false) continue;
    tuple.forEach((v, at) => {
      lists[at]!.push(v);
    });
  }
  return lists.map((values) => ({ values, shape: [count] }));
}

describe("gradients against central differences", () => {
  const differentiable = ELEMENTWISE.filter((op) => op.vjp && op.name !== "where" && op.name !== "cast");
  test.each(differentiable.map((op) => [op.name, op] as const))("%s", async (_name, op) => {
    const points = smoothPoints(op, 11, op.arity);
    const loss = (inputs: readonly Tensor[]): Tensor => weighted([applyElementwise(op, inputs)], seedOf(op.name));
    await gradcheck(op.name, loss, points);
    await gradcheck(`${op.name}, second order`, gradientLoss(loss, 3), points);
  });

  test.each(REDUCTIONS.map((op) => [op.name, op] as const))("%s", async (_name, op) => {
    const values = smoothPoints(op, 24, 1)[0]!.values.sort((a, b) => Math.sin(a * 999) - Math.sin(b * 999));
    for (const axes of [[0], [1], [2], [0, 2], [0, 1, 2]]) {
      const loss = ([x]: readonly Tensor[]): Tensor => weighted([reduce(op, x!, axes)], 5);
      const points = [{ values, shape: [2, 3, 4] }];
      await gradcheck(`${op.name} over ${axes}`, loss, points);
      await gradcheck(`${op.name} over ${axes}, second order`, gradientLoss(loss, 3), points);
    }
  });
});

describe.each(OTHERS)("reductions on %s", (device: TestDevice) => {
  const shapes: [readonly number[], readonly (readonly number[])[]][] = [
    [[7], [[0]]],
    [
      [5, 13],
      [[0], [1], [0, 1]],
    ],
    [
      [3, 4, 33],
      [[0], [1], [2], [0, 2], [0, 1], [0, 1, 2]],
    ],
    [
      [2, 0, 3],
      [[1], [0], [0, 1, 2]],
    ],
    [
      [1, 257],
      [[1], [0]],
    ],
    [[67, 2], [[0]]],
  ];
  test.each(REDUCTIONS.map((op) => [op.name, op] as const))("%s", async (_name, op) => {
    const cases = (op.test?.dtypes ?? (["f32"] as const)).flatMap((dtype) =>
      shapes.flatMap(([shape, all]) =>
        all.flatMap((axes) => LAYOUTS.map((layout) => ({ dtype, shape, axes, layout }))),
      ),
    );
    const chosen = sampled(
      device,
      FULL ? cases : cases.filter((each, i) => each.dtype === "f32" || i % LAYOUTS.length === i % 3),
    );
    const build = () =>
      chosen.map(({ dtype, shape, axes, layout }, i) => {
        const [low, high] = op.test?.domain?.[0] ?? [-4, 4];
        const next = sequence(i);
        return reduce(
          op,
          laidOut(layout, shape, dtype, (n) => numbers(next, dtype, n, low, high)),
          axes,
        );
      });
    const want = await onDevice("js", build);
    const got = await onDevice(device, build);
    chosen.forEach(({ dtype, shape, axes, layout }, i) => {
      const count = sizeOf(axes.map((a) => shape[a]!));
      const narrow = isFloat(dtype) && dtype !== "f32";
      const absolute = (narrow ? 1e-3 : 1e-6) * Math.sqrt(count + 1);
      expectNear(
        got[i]!,
        want[i]!,
        dtype,
        { ulp: op.test?.ulp ?? 4, absolute: op.test?.ulp === 0 ? 0 : absolute },
        `${op.name} ${dtype} [${shape}] over ${axes} ${layout}`,
      );
    });
  });

  test("extrema see infinities", async () => {
    const build = () => {
      const x = make([inf, -inf, 1, 2, -inf, -inf, 3, inf], [4, 2], "f32");
      return [x.max(1), x.min(0), x.max(), make([1, 2, 3], [3], "f32").mul(iota(3).cast("f32")).max()];
    };
    const want = await onDevice("js", build);
    const got = await onDevice(device, build);
    want.forEach((w, i) => {
      expectNear(got[i]!, w, "f32", { ulp: 0, absolute: 0 }, `extremum ${i}`);
    });
  });
});

beforeAll(() => use("js"));
