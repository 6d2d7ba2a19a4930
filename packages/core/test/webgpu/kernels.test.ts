import {
  cumsum,
  grad,
  openDevice,
  realize,
  scaledDotProductAttention,
  sort,
  type Tensor,
  tensor,
  useDevice,
} from "@vlm/core";
import { afterAll, describe, expect, it } from "vitest";
import { onDebug } from "../../src/debug.ts";
import type { DType } from "../../src/dtype.ts";
import { callKernel } from "../../src/graph/kernel.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import { scanOp } from "../../src/ops/scan.ts";
import { scatterOp } from "../../src/ops/scatter.ts";
import { sortOp } from "../../src/ops/sort.ts";
import { generator } from "../wasm/random-schedules.ts";

afterAll(async () => {
  await useDevice("js");
});

function numbers(shape: readonly number[], seed: number, dtype: DType = "f32"): Tensor {
  const random = generator(seed * 7919);
  const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
    dtype === "f32" || dtype === "f16" || dtype === "bf16" ? random() * 2 - 1 : Math.floor(random() * 11),
  );
  return tensor(data, { shape, dtype });
}

/** Both devices agree on everything that `make` gives. */
async function agree(make: () => readonly Tensor[], tolerance: number): Promise<void> {
  const results: ArrayLike<number>[][] = [];
  for (const name of ["js", "webgpu"] as const) {
    await useDevice(await openDevice(name));
    const tensors = make();
    await realize(...tensors);
    results.push(await Promise.all(tensors.map((x) => x.data())));
  }
  const [want, got] = results as [ArrayLike<number>[], ArrayLike<number>[]];
  want.forEach((values, i) => {
    expect(got[i]!.length).toBe(values.length);
    const scale = Math.max(
      1e-3,
      ...Array.from(values, (x) => (Number.isFinite(x) && Math.abs(x) < 1e20 ? Math.abs(x) : 0)),
    );
    for (let k = 0; k < values.length; k++) {
      const [a, b] = [got[i]![k]!, values[k]!];
      const near =
        Object.is(a, b) || Math.abs(a - b) <= tolerance * Math.max(scale, Math.abs(b) > 1e20 ? Math.abs(b) : 0);
      if (!near) expect(`output ${i} element ${k}: ${a}`).toBe(`${b}`);
    }
  });
}

type Case = {
  sizes: readonly [B: number, H: number, G: number, N: number, M: number, D: number, E: number];
  causal?: boolean;
  mask?: readonly number[];
  bias?: readonly number[];
  lengths?: readonly number[];
  dtype?: DType;
};

const cases: Record<string, Case> = {
  plain: { sizes: [2, 2, 2, 19, 19, 8, 8] },
  "causal, more rows than a workgroup": { sizes: [1, 2, 2, 70, 70, 8, 8], causal: true },
  "grouped queries of another length, causal, lengths": {
    sizes: [2, 4, 2, 9, 21, 8, 12],
    causal: true,
    lengths: [21, 13],
  },
  "mask and shared bias": { sizes: [2, 2, 1, 10, 18, 4, 4], mask: [2, 1, 10, 18], bias: [1, 2, 10, 18] },
  "bias of columns, f16": { sizes: [1, 2, 2, 12, 20, 8, 4], bias: [1, 1, 1, 20], dtype: "f16" },
};

describe("attention", () => {
  it.each(Object.entries(cases))("%s: result and gradients", async (_name, { sizes, causal = false, ...rest }) => {
    const [B, H, G, N, M, D, E] = sizes;
    const dtype = rest.dtype ?? "f32";
    await agree(
      () => {
        const q = numbers([B, H, N, D], 1, dtype);
        const k = numbers([B, G, M, D], 2, dtype);
        const v = numbers([B, G, M, E], 3, dtype);
        const bias = rest.bias ? numbers(rest.bias, 4) : null;
        const mask = rest.mask ? numbers(rest.mask, 5).gt(-0.5) : null;
        const lengths = rest.lengths ? tensor([...rest.lengths], { dtype: "i32" }) : null;
        const y = scaledDotProductAttention(q, k, v, { causal, mask, bias, lengths });
        const loss = y
          .cast("f32")
          .mul(numbers([B, H, N, E], 6))
          .sum();
        return [y, ...grad(loss, bias ? [q, k, v, bias] : [q, k, v])];
      },
      dtype === "f32" ? 3e-6 : 4e-3,
    );
  });

  it("reads queries, keys and values out of one projection, without copies, and gives its gradient", async () => {
    const [B, N, H, D] = [2, 21, 3, 8];
    const schedules: Schedule[] = [];
    const undo = onDebug((event) => event.kind === "plan" && schedules.push(event.schedule), 3);
    try {
      for (const dtype of ["f32", "f16"] as const) {
        await agree(
          () => {
            const packed = numbers([B, N, 3 * H * D], 1, dtype);
            const [q, k, v] = [0, 1, 2].map((i) =>
              packed
                .slice(null, null, [i * H * D, (i + 1) * H * D])
                .reshape([B, N, H, D])
                .permute([0, 2, 1, 3]),
            ) as [Tensor, Tensor, Tensor];
            const y = scaledDotProductAttention(q, k, v)
              .permute([0, 2, 1, 3])
              .reshape([B, N, H * D]);
            const loss = y
              .cast("f32")
              .mul(numbers([B, N, H * D], 6))
              .sum();
            return [y, ...grad(loss, [packed])];
          },
          dtype === "f32" ? 3e-6 : 4e-3,
        );
      }
    } finally {
      undo();
    }
    const kernels = schedules.flatMap((schedule) => schedule.kernels.filter(({ kind }) => kind === "custom"));
    expect(kernels).toHaveLength(4);
    for (const kernel of kernels) {
      if (kernel.kind !== "custom") throw new Error("a kernel by hand");
      expect(kernel.inputs.slice(0, 3).map(({ view }) => view?.offset)).toEqual([0, H * D, 2 * H * D]);
    }
  });

  it("a query that sees nothing gives 0", async () => {
    await agree(() => {
      const q = numbers([1, 1, 4, 4], 1);
      const mask = tensor([1, 0, 1, 0], { dtype: "bool" }).reshape([4, 1]);
      const y = scaledDotProductAttention(q, q, q, { mask });
      return [y, ...grad(y.sum(), [q])];
    }, 2e-6);
  });
});

describe("scatter", () => {
  const ids = [3, 0, 3, 9, -1, 3, 6];
  it.each(["add", "mul", "max", "min", "set"] as const)("%s, with ids twice and out of range", async (combine) => {
    for (const dtype of ["f32", "f16", "u8", "i32"] as const) {
      await agree(
        () => {
          const at = tensor(ids, { dtype: "i32" });
          const [updates, base] = [numbers([7, 3], 1, dtype), numbers([7, 3], 2, dtype)];
          return [
            callKernel(scatterOp, [at, updates, base], { rows: 7, combine })[0]!,
            ...(combine === "add" ? [callKernel(scatterOp, [at, updates], { rows: 9, combine })[0]!] : []),
          ];
        },
        dtype === "f16" ? 1e-3 : 1e-6,
      );
    }
  });
});

describe("scan", () => {
  it.each(["add", "mul", "max", "min"] as const)("%s", async (combine) => {
    await agree(
      () =>
        [false, true].flatMap((reverse) => [
          callKernel(scanOp, [numbers([3, 300], 1)], { combine, reverse, exclusive: false })[0]!,
          callKernel(scanOp, [numbers([2, 5], 1, "i32")], { combine, reverse, exclusive: true })[0]!,
        ]),
      2e-6,
    );
  });

  it("cumsum along a middle axis", async () => {
    await agree(() => [cumsum(numbers([2, 140, 3], 1), 1)], 2e-6);
  });
});

describe("sort", () => {
  it("is stable, for all types, both ways, NaN greatest", async () => {
    const special = [3, Number.NaN, -0, 0, 1, Number.NEGATIVE_INFINITY, 3, Number.POSITIVE_INFINITY, -2, 0.5];
    await agree(() => {
      const x = tensor(special);
      const many = numbers([3, 37], 1, "u32");
      return [false, true].flatMap((descending) => [
        ...Object.values(sort(x, -1, { descending })),
        ...Object.values(sort(many, -1, { descending })),
        ...Object.values(sort(numbers([4, 5], 2, "i32"), 0, { descending })),
      ]);
    }, 0);
  });

  it("rows longer than a workgroup's memory", async () => {
    await agree(() => [...callKernel(sortOp, [numbers([2, 5000], 3)], { descending: false })], 0);
  });
});
