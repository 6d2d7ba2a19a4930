/** Which axis of a loop is vectorised, and axes that indices take apart. */
import { random, tensor, useDevice } from "@vlm/core";
import { describe, expect, it } from "vitest";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { splitOuter } from "../../src/backends/wasm/split-outer.ts";
import { chooseVector, type Part } from "../../src/backends/wasm/vector-axis.ts";
import { ExprBuilder } from "../../src/ir/expr.ts";
import type { LoopKernel, Schedule } from "../../src/ir/kernel.ts";
import { add, axis, div, type Linear, mod, scale } from "../../src/ir/linear.ts";
import { mulOp } from "../../src/ops/arithmetic.ts";
import { sumOp } from "../../src/ops/reduce.ts";
import { difference, expected, inputsOf, runOn } from "./compare.ts";

const build = new ExprBuilder();

/** Sums of a matrix's columns, and what is stored of them. */
function columnSums(rows: number, columns: number, element: (row: Linear, column: Linear) => Linear): LoopKernel {
  const [column, row] = [axis(0, columns), axis(1, rows)];
  return {
    kind: "loop",
    name: "columns",
    outer: [columns],
    inner: [rows],
    stages: [
      { kind: "reduce", op: sumOp, value: build.load(0, element(row, column), "f32"), dtype: "f32" },
      { kind: "store", level: "outer", buffer: 1, index: column, value: build.stage(0, "f32") },
      {
        kind: "store",
        level: "outer",
        buffer: 2,
        index: column,
        value: build.apply(mulOp, [build.stage(0, "f32"), build.load(3, column, "f32")], "f32"),
      },
    ],
  };
}

const schedule = (kernel: LoopKernel): Schedule => {
  const [columns, rows] = [kernel.outer[0]!, kernel.inner[0]!];
  return {
    buffers: [
      { dtype: "f32", size: rows * columns, role: "input", position: 0 },
      { dtype: "f32", size: columns, role: "output", position: 0 },
      { dtype: "f32", size: columns, role: "output", position: 1 },
      { dtype: "f32", size: columns, role: "input", position: 1 },
    ],
    kernels: [kernel],
  };
};

/** Row-major by heads: [heads, rows, width]. */
const byHeads =
  (rows: number, width: number) =>
  (row: Linear, column: Linear): Linear =>
    add(add(scale(div(column, width), rows * width), scale(row, width)), mod(column, width));

describe("the vectorised axis", () => {
  it("is the one that operands lie along, however much is done after the inner loops", () => {
    const kernel = columnSums(2048, 512, (row, column) => add(scale(row, 512), column));
    const looped: Part = {
      nodes: 1,
      accesses: [{ index: add(scale(axis(1, 2048), 512), axis(0, 512)), store: false }],
    };
    const after = (nodes: number): Part => ({
      nodes,
      accesses: Array.from({ length: nodes / 5 }, () => ({ index: axis(0, 512), store: true })),
    });
    for (const nodes of [0, 10, 200]) expect(chooseVector(kernel, looped, after(nodes))).toBe(0);
    const across: Part = {
      nodes: 1,
      accesses: [{ index: add(axis(1, 2048), scale(axis(0, 512), 2048)), store: false }],
    };
    expect(chooseVector(kernel, across, after(0))).toBe(1);
  });
});

describe("an axis that indices take apart", () => {
  it("becomes two, of which the second is contiguous", () => {
    const kernel = columnSums(40, 96, byHeads(40, 32));
    const split = splitOuter(kernel);
    expect([split.outer, split.inner]).toEqual([[3, 32], [40]]);
    expect(split.stages.map(({ value }) => (value.kind === "load" ? value.index.key : ""))[0]).toBe(
      add(add(scale(axis(0, 3), 40 * 32), axis(1, 32)), scale(axis(2, 40), 32)).key,
    );
  });

  it("stays whole where its parts are short, do not divide it, or nothing takes it apart", () => {
    for (const kernel of [
      columnSums(8, 96, byHeads(8, 8)),
      columnSums(8, 96, (row, column) => add(scale(row, 96), column)),
      columnSums(8, 96, (row, column) => add(scale(row, 40), mod(column, 40))),
    ]) {
      expect(splitOuter(kernel)).toBe(kernel);
    }
  });

  it("does not mix its operands up with the sums that they are divided by", async () => {
    await useDevice("js");
    const x = tensor(await random.normal(random.key(0), [2079]).data(), { shape: [3, 3, 33, 7] });
    // One loop over all rows of a view: the kernel takes it apart by 33 and by 99.
    const rows = () => x.permute([1, 0, 2, 3]).reshape([297, 7]).softmax().data();
    const want = await rows();
    await useDevice("wasm", { threads: 1 });
    const got = await rows();
    got.forEach((value, i) => {
      expect(value).toBeCloseTo(want[i]!, 6);
    });
  });

  it.each([1, 2])("gives the same sums, %i threads", async (threads) => {
    const backend = await createWasmBackend({ threads });
    for (const [rows, heads, width] of [
      [40, 3, 32],
      [1, 2, 17],
      [300, 5, 20],
      [2000, 12, 64],
    ] as const) {
      const plan = schedule(columnSums(rows, heads * width, byHeads(rows, width)));
      const inputs = inputsOf(plan, rows);
      const got = await runOn(backend, plan, inputs, threads);
      expect(difference(plan, got, expected(plan, inputs)), `${rows}, ${heads} × ${width}`).toBeNull();
    }
    await backend.dispose();
  });
});
