import { afterAll, beforeAll, expect, test } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import type { WasmKernel } from "../../src/backends/wasm/custom.ts";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { scanWasm } from "../../src/backends/wasm/kernels/scan.ts";
import { scatterWasm } from "../../src/backends/wasm/kernels/scatter.ts";
import { sortWasm } from "../../src/backends/wasm/kernels/sort.ts";
import { type HostArray, hostArray, roundTo } from "../../src/dtype.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import type { Attributes, KernelOp, TensorSpec } from "../../src/op.ts";
import { scanOp } from "../../src/ops/scan.ts";
import { scatterOp } from "../../src/ops/scatter.ts";
import { sortOp } from "../../src/ops/sort.ts";
import { difference, expected, runOn } from "./compare.ts";
import { generator } from "./random-schedules.ts";

const backends: Backend[] = [];

beforeAll(async () => {
  for (const threads of [1, 2]) backends.push(await createWasmBackend({ threads, relaxed: false }));
});

afterAll(async () => {
  for (const backend of backends) await backend.dispose();
});

/** Runs one kernel on every backend and compares it with its record's definition. */
async function check(
  op: KernelOp,
  wasm: WasmKernel,
  inputs: readonly TensorSpec[],
  attributes: Attributes,
  data: readonly HostArray[],
): Promise<void> {
  const outputs = op.outputs(inputs, attributes);
  const size = ({ shape }: TensorSpec): number => shape.reduce((a, b) => a * b, 1);
  const schedule: Schedule = {
    buffers: [
      ...inputs.map((x, position) => ({ dtype: x.dtype, size: size(x), role: "input" as const, position })),
      ...outputs.map((x, position) => ({ dtype: x.dtype, size: size(x), role: "output" as const, position })),
    ],
    kernels: [
      {
        kind: "custom",
        name: op.name,
        op: { ...op, wasm },
        attributes,
        inputs: inputs.map((x, buffer) => ({ ...x, buffer })),
        outputs: outputs.map((x, at) => ({ ...x, buffer: inputs.length + at })),
      },
    ],
  };
  const want = expected(schedule, data);
  for (const backend of backends) {
    const got = await runOn(backend, schedule, data, 2);
    expect(difference(schedule, got, want), JSON.stringify({ inputs, attributes })).toBeNull();
  }
}

const SHAPES = [
  [1, 1],
  [3, 7],
  [5, 64],
  [2, 33],
  [40, 13],
  [0, 4],
  [3, 0],
] as const;

const filled = ({ shape, dtype }: TensorSpec, value: (at: number) => number): HostArray => {
  const data = hostArray(
    dtype,
    shape.reduce((a, b) => a * b, 1),
  );
  return data.map((_, at) => roundTo(dtype, value(at))) as HostArray;
};

test("scans", async () => {
  const random = generator(3);
  for (const shape of SHAPES) {
    for (const dtype of ["f32", "i32", "u32", "bf16"] as const) {
      for (const combine of ["add", "mul", "max", "min"]) {
        for (const [reverse, exclusive] of [
          [false, false],
          [true, true],
        ]) {
          const x = { shape, dtype };
          const data = filled(x, () =>
            dtype === "f32" || dtype === "bf16" ? random() + 0.5 : Math.floor(random() * 4),
          );
          await check(scanOp, scanWasm, [x], { combine, reverse, exclusive }, [data]);
        }
      }
    }
  }
});

test("scatters, with ids out of range and repeated", async () => {
  const random = generator(4);
  for (const [count, width] of SHAPES) {
    for (const dtype of ["f32", "i32", "f16"] as const) {
      for (const combine of ["set", "add", "mul", "max", "min"]) {
        for (const rows of [0, 1, 6]) {
          const ids: TensorSpec = { shape: [count], dtype: "i32" };
          const updates: TensorSpec = { shape: [count, width], dtype };
          const base: TensorSpec = { shape: [rows, width], dtype };
          const inputs = combine === "add" && width % 2 ? [ids, updates] : [ids, updates, base];
          const data = [
            filled(ids, () => Math.floor(random() * (rows + 2)) - 1),
            ...inputs.slice(1).map((x) => filled(x, () => Math.floor(random() * 5) - 2)),
          ];
          await check(scatterOp, scatterWasm, inputs, { rows, combine }, data);
        }
      }
    }
  }
});

test("sorts are stable, and NaN is greatest", async () => {
  const random = generator(5);
  const odd = [Number.NaN, -0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 1, 1e-40];
  for (const shape of SHAPES) {
    for (const dtype of ["f32", "f16", "i32", "u32"] as const) {
      for (const descending of [false, true]) {
        const x = { shape, dtype };
        const float = dtype === "f32" || dtype === "f16";
        const data = filled(x, () => {
          if (float && random() < 0.4) return odd[Math.floor(random() * odd.length)]!;
          return Math.floor(random() * 20) - (dtype === "u32" ? 0 : 10);
        });
        await check(sortOp, sortWasm, [x], { descending }, [data]);
      }
    }
  }
});
