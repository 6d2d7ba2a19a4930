/** Small schedules by hand, for tests of the device rather than of rendering. */
import type { DType } from "../../src/dtype.ts";
import { type Expr, ExprBuilder } from "../../src/ir/expr.ts";
import type { BufferSpec, Kernel, Schedule } from "../../src/ir/kernel.ts";
import { add, axis, type Linear, scale } from "../../src/ir/linear.ts";
import { addOp, mulOp, subOp } from "../../src/ops/arithmetic.ts";
import { maxOp, sumOp } from "../../src/ops/reduce.ts";

export const input = (position: number, size: number, dtype: DType = "f32"): BufferSpec => ({
  dtype,
  size,
  role: "input",
  position,
});
export const output = (position: number, size: number, dtype: DType = "f32"): BufferSpec => ({
  dtype,
  size,
  role: "output",
  position,
});
export const temporary = (size: number, dtype: DType = "f32"): BufferSpec => ({
  dtype,
  size,
  role: "temporary",
  position: -1,
});

/** A map over n elements: buffer `to` gets make(index). */
export function map(n: number, to: number, make: (build: ExprBuilder, index: Linear) => Expr): Kernel {
  const build = new ExprBuilder();
  const index = axis(0, n);
  const store = { kind: "store" as const, level: "outer" as const, buffer: to, index };
  return {
    kind: "loop",
    name: "map",
    outer: [n],
    inner: [],
    stages: [{ ...store, value: make(build, index) }],
  };
}

/** y = x · factor. */
export function scaled(n: number, factor: number, dtype: DType = "f32"): Schedule {
  const kernel = map(n, 1, (build, index) =>
    build.apply(mulOp, [build.load(0, index, dtype), build.constant(factor, dtype)], dtype),
  );
  return { buffers: [input(0, n, dtype), output(0, n, dtype)], kernels: [kernel] };
}

/** Sums of rows (or, with `across`, of columns) of a matrix, minus the first number of each row. */
export function sums(rows: number, length: number, across = false, dtype: DType = "f32"): Schedule {
  const build = new ExprBuilder();
  const [row, at] = [axis(0, rows), axis(1, length)];
  const index = across ? add(scale(at, rows), row) : add(scale(row, length), at);
  const first = build.load(0, across ? row : scale(row, length), dtype);
  const less = build.apply(subOp, [build.stage(0, "f32"), first], "f32");
  const kernel: Kernel = {
    kind: "loop",
    name: "sum",
    outer: [rows],
    inner: [length],
    stages: [
      { kind: "reduce", op: sumOp, value: build.load(0, index, dtype), dtype: "f32" },
      { kind: "store", level: "outer", buffer: 1, index: row, value: less },
    ],
  };
  return { buffers: [input(0, rows * length, dtype), output(0, rows)], kernels: [kernel] };
}

/**
 * Rows minus their mean, divided by their greatest distance from it, and that distance: reductions that need each other,
 * and stores of both levels.
 */
export function scaledRows(rows: number, length: number): Schedule {
  const build = new ExprBuilder();
  const [row, at] = [axis(0, rows), axis(1, length)];
  const index = add(scale(row, length), at);
  const x = build.load(0, index, "f32");
  const mean = build.apply(mulOp, [build.stage(0, "f32"), build.constant(1 / length, "f32")], "f32");
  const centred = build.apply(subOp, [x, mean], "f32");
  const square = build.apply(mulOp, [centred, centred], "f32");
  const greatest = build.stage(1, "f32");
  const kernel: Kernel = {
    kind: "loop",
    name: "scaled rows",
    outer: [rows],
    inner: [length],
    stages: [
      { kind: "reduce", op: sumOp, value: x, dtype: "f32" },
      { kind: "reduce", op: maxOp, value: square, dtype: "f32" },
      {
        kind: "store",
        level: "outer",
        buffer: 1,
        index: row,
        value: build.apply(addOp, [greatest, build.stage(0, "f32")], "f32"),
      },
      { kind: "store", level: "inner", buffer: 2, index, value: build.apply(subOp, [square, greatest], "f32") },
    ],
  };
  return { buffers: [input(0, rows * length), output(0, rows), output(1, rows * length)], kernels: [kernel] };
}

/** c = a · b, with `bias` plus a row that is added. */
export function product(rows: number, sum: number, columns: number, bias = false, dtype: DType = "f32"): Schedule {
  const build = new ExprBuilder();
  const [m, n, k] = [axis(1, rows), axis(2, columns), axis(3, sum)];
  const total = build.stage(0, "f32");
  const kernel: Kernel = {
    kind: "contract",
    name: "product",
    batch: 1,
    rows,
    columns,
    sum,
    a: build.load(0, add(scale(m, sum), k), dtype),
    b: build.load(1, add(scale(k, columns), n), dtype),
    dtype: "f32",
    stores: [
      {
        buffer: 2,
        index: add(scale(m, columns), n),
        value: bias ? build.apply(addOp, [total, build.load(3, n, "f32")], "f32") : total,
      },
    ],
  };
  const buffers = [input(0, rows * sum, dtype), input(1, sum * columns, dtype), output(0, rows * columns)];
  return { buffers: bias ? [...buffers, input(2, columns)] : buffers, kernels: [kernel] };
}

/** A map into a temporary, row sums of it, and a product with them: three kernels. */
export function chain(n: number): Schedule {
  const doubled = map(n * n, 1, (build, index) => {
    const x = build.load(0, index, "f32");
    return build.apply(addOp, [x, x], "f32");
  });
  const row = { ...sums(n, n).kernels[0]! } as Kernel & { kind: "loop" };
  const build = new ExprBuilder();
  const [r, i] = [axis(0, n), axis(1, n)];
  const sum: Kernel = {
    ...row,
    stages: [
      { kind: "reduce", op: sumOp, value: build.load(1, add(scale(r, n), i), "f32"), dtype: "f32" },
      { kind: "store", level: "outer", buffer: 2, index: r, value: build.stage(0, "f32") },
    ],
  };
  const last = map(n, 3, (b, index) => b.apply(mulOp, [b.load(2, index, "f32"), b.load(1, index, "f32")], "f32"));
  return { buffers: [input(0, n * n), temporary(n * n), temporary(n), output(0, n)], kernels: [doubled, sum, last] };
}
