/** Builds random schedules of loop and contraction kernels, for comparing rendered code with the interpreter. */
import { computeType, type DType } from "../../src/dtype.ts";
import { type Expr, ExprBuilder } from "../../src/ir/expr.ts";
import type { BufferSpec, ContractKernel, LoopKernel, Schedule, Stage } from "../../src/ir/kernel.ts";
import * as linear from "../../src/ir/linear.ts";
import type { ElementwiseOp, ReduceOp } from "../../src/op.ts";

/** Numbers in 0 … 1 from a seed. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Ops with an instruction, defined here so that the backend is tested apart from the library's records. */
const native = (name: string, arity: 1 | 2 | 3, evaluate: ElementwiseOp["eval"], gives?: DType): ElementwiseOp => ({
  kind: "elementwise",
  name,
  arity,
  dtype: (args) => gives ?? args[args.length - 1]!,
  eval: evaluate,
  wgsl: () => "",
});

export const ops = {
  add: native("add", 2, ([a, b]) => a! + b!),
  sub: native("sub", 2, ([a, b]) => a! - b!),
  mul: native("mul", 2, ([a, b], _types, type) => (type === "f32" ? a! * b! : Math.imul(a!, b!))),
  div: native("div", 2, ([a, b], _types, type) => (type === "f32" ? a! / b! : b === 0 ? 0 : Math.trunc(a! / b!))),
  neg: native("neg", 1, ([a]) => -a!),
  abs: native("abs", 1, ([a]) => Math.abs(a!)),
  sqrt: native("sqrt", 1, ([a]) => Math.sqrt(a!)),
  floor: native("floor", 1, ([a]) => Math.floor(a!)),
  maximum: native("maximum", 2, ([a, b]) => Math.max(a!, b!)),
  minimum: native("minimum", 2, ([a, b]) => Math.min(a!, b!)),
  lt: native("lt", 2, ([a, b]) => (a! < b! ? 1 : 0), "bool"),
  eq: native("eq", 2, ([a, b]) => (a === b ? 1 : 0), "bool"),
  where: native("where", 3, ([c, a, b]) => (c ? a! : b!)),
  /** No instruction: rendered through its decomposition. */
  twice: {
    ...native("twice", 1, ([a]) => 2 * a!),
    decompose: (build, [x], result) => build.apply(ops.mul, [x!, build.constant(2, result)]),
  } as ElementwiseOp,
  cast: (to: DType): ElementwiseOp =>
    native(
      "cast",
      1,
      ([x], [from], type) => {
        if (type === "bool") return x !== 0 ? 1 : 0;
        if (from !== "f32" || type === "f32") return x!;
        if (Number.isNaN(x)) return 0;
        const [low, high] = type === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
        return Math.min(Math.max(Math.trunc(x!), low), high);
      },
      to,
    ),
};

export const reduces = {
  sum: { kind: "reduce", name: "sum", combine: ops.add, identity: () => 0 },
  max: {
    kind: "reduce",
    name: "max",
    combine: ops.maximum,
    identity: (dtype) =>
      computeType(dtype) === "f32" ? Number.NEGATIVE_INFINITY : computeType(dtype) === "i32" ? -(2 ** 31) : 0,
  },
} satisfies Record<string, ReduceOp>;

const DTYPES: readonly DType[] = ["f32", "f32", "f32", "f16", "bf16", "i32", "u32", "u8", "bool"];
const SIZES = [1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 64];

export type Case = { schedule: Schedule; inputs: number; outputs: number };

class Maker {
  readonly random: () => number;
  readonly buffers: BufferSpec[] = [];
  readonly build = new ExprBuilder();
  inputs = 0;
  outputs = 0;

  constructor(seed: number) {
    this.random = generator(seed);
    for (let i = 0; i < 5; i++) this.random();
  }

  int(n: number): number {
    return Math.floor(this.random() * n);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!;
  }

  buffer(dtype: DType, size: number, role: "input" | "output"): number {
    const position = role === "input" ? this.inputs++ : this.outputs++;
    return this.buffers.push({ dtype, size, role, position }) - 1;
  }

  sizes(rank: number): number[] {
    return Array.from({ length: rank }, () => this.pick(SIZES));
  }

  /** A load of a fresh input by some view of the given axes: permuted, broadcast, sliced, flipped, reshaped, padded, gathered, by heads. */
  load(axes: readonly linear.Linear[], sizes: readonly number[], dtype: DType = this.pick(DTYPES)): Expr {
    const order = axes.map((_, i) => i).filter(() => this.random() > 0.15);
    if (this.random() < 0.4) order.sort(() => this.random() - 0.5);
    const steps = order.map(() => (this.random() < 0.2 ? 2 : 1));
    const shape = order.map((axis, i) => sizes[axis]! * steps[i]!);
    let index = linear.flatten(
      order.map((axis, i) => {
        const scaled = linear.scale(axes[axis]!, steps[i]!);
        if (this.random() < 0.85) return scaled;
        return linear.add(linear.constant(shape[i]! - 1), linear.scale(scaled, -1));
      }),
      shape,
    );
    let size = shape.reduce((a, b) => a * b, 1);
    const kind = this.random();
    if (kind < 0.15 && linear.range(index).min >= 0) {
      // Through a reshape: quotients and remainders that do not cancel.
      const [by, height] = [this.pick([2, 3, 4, 5]), Math.max(1, Math.ceil(size / 3))];
      index = linear.add(linear.scale(linear.mod(index, by), height), linear.mod(linear.div(index, by), height));
      size = by * height;
    } else if (kind < 0.3) {
      const shift = this.pick([-3, -1, 1, 2]);
      const moved = linear.offset(index, shift);
      const buffer = this.buffer(dtype, size, "input");
      return this.build.guard([{ index: moved, low: 0, high: size }], this.build.load(buffer, moved, dtype), 1);
    } else if (kind < 0.4) {
      const table = this.buffer("u8", size, "input");
      const row = this.build.load(table, index, "u8");
      const clamped = this.build.apply(ops.minimum, [row, this.build.constant(40, "u8")], "u8");
      index = linear.fromValue(clamped, 41, clamped.key);
      size = 41;
    } else if (kind < 0.5 && axes.length > 1) {
      // Rows by an index that is the same along the other axes.
      const row = this.int(axes.length);
      const others = axes.map((_, i) => i).filter((i) => i !== row);
      const width = others.reduce((product, i) => product * sizes[i]!, 1);
      const read = this.build.load(this.buffer("u8", sizes[row]!, "input"), axes[row]!, "u8");
      const id = this.build.apply(ops.minimum, [read, this.build.constant(6, "u8")], "u8");
      const along = linear.flatten(
        others.map((i) => axes[i]!),
        others.map((i) => sizes[i]!),
      );
      index = linear.add(linear.scale(linear.fromValue(id, 7, id.key), width), along);
      size = 7 * width;
    } else if (kind < 0.65 && sizes.includes(64)) {
      // By heads: one axis in two parts, the first of which comes first.
      const split = sizes.indexOf(64);
      const part = this.pick([16, 32]);
      const parts = [
        linear.div(axes[split]!, part),
        ...axes.map((axis, i) => (i === split ? linear.mod(axis, part) : axis)),
      ];
      index = linear.flatten(parts, [64 / part, ...sizes.map((n, i) => (i === split ? part : n))]);
      size = sizes.reduce((a, b) => a * b, 1);
    }
    return this.build.load(this.buffer(dtype, size, "input"), index, dtype);
  }

  /** Any value as f32. */
  float(x: Expr): Expr {
    return x.dtype === "f32" || x.dtype === "f16" || x.dtype === "bf16"
      ? x
      : this.build.apply(ops.cast("f32"), [x], "f32");
  }

  /** An f32 value from a few loads, and from `extra` if given. */
  value(axes: readonly linear.Linear[], sizes: readonly number[], extra: readonly Expr[] = []): Expr {
    const { build } = this;
    const leaves = [...extra, ...Array.from({ length: 1 + this.int(3) }, () => this.float(this.load(axes, sizes)))];
    if (this.random() < 0.2) leaves.push(this.float(build.index(axes[this.int(axes.length)] ?? linear.constant(3))));
    let value = leaves[0]!;
    for (const leaf of leaves.slice(1)) {
      const op = this.pick([ops.add, ops.sub, ops.mul, ops.maximum, ops.minimum]);
      value = build.apply(op, [value, leaf], "f32");
      const more = this.random();
      if (more < 0.15) value = build.apply(ops.abs, [value], "f32");
      else if (more < 0.3) value = build.apply(ops.twice, [value], "f32");
      else if (more < 0.4) {
        const low = build.apply(ops.lt, [value, leaf], "bool");
        value = build.apply(ops.where, [low, value, build.constant(0.5, "f32")], "f32");
      }
    }
    return value;
  }

  store(
    value: Expr,
    axes: readonly linear.Linear[],
    sizes: readonly number[],
  ): { buffer: number; index: linear.Linear; value: Expr } {
    const dtype = this.pick<DType>(["f32", "f32", "f32", "f16", "bf16", "i32", "bool"]);
    const floats = dtype === "f32" || dtype === "f16" || dtype === "bf16";
    const order = axes.map((_, i) => i);
    if (this.random() < 0.25) order.sort(() => this.random() - 0.5);
    const shape = order.map((axis) => sizes[axis]!);
    const index = linear.flatten(
      order.map((axis) => axes[axis]!),
      shape,
    );
    const buffer = this.buffer(
      dtype,
      shape.reduce((a, b) => a * b, 1),
      "output",
    );
    return { buffer, index, value: floats ? value : this.build.apply(ops.cast(dtype), [value], dtype) };
  }

  done(kernel: LoopKernel | ContractKernel): Case {
    return { schedule: { buffers: this.buffers, kernels: [kernel] }, inputs: this.inputs, outputs: this.outputs };
  }
}

/** A loop kernel with up to three outer and two inner axes, up to three reductions, and stores of both levels. */
export function randomLoop(seed: number): Case {
  const maker = new Maker(seed);
  const outer = maker.sizes(maker.int(4));
  const inner = maker.random() < 0.4 ? [] : maker.sizes(1 + maker.int(2));
  if (maker.random() < 0.05) (maker.random() < 0.5 ? outer : inner).push(0);
  // The interpreter is slow: no more than 3,000 iterations.
  for (const list of [outer, inner]) {
    for (let i = 0; i < list.length; i++) {
      while ([...outer, ...inner].reduce((a, b) => a * b, 1) > 3000 && list[i]! > 1) list[i] = list[i]! >> 1;
    }
  }
  const sizes = [...outer, ...inner];
  const axes = sizes.map((n, i) => linear.axis(i, n));
  const outerAxes = axes.slice(0, outer.length);
  const stages: Stage[] = [];
  const results: Expr[] = [];
  if (inner.length > 0) {
    for (let count = 1 + maker.int(3); count > 0; count--) {
      const op = maker.pick([reduces.sum, reduces.max]);
      const known = results
        .filter(() => maker.random() < 0.6)
        .map((x) =>
          op === reduces.max ? x : maker.build.apply(ops.mul, [x, maker.build.constant(0.001, "f32")], "f32"),
        );
      stages.push({ kind: "reduce", op, dtype: "f32", value: maker.value(axes, sizes, known) });
      results.push(maker.build.stage(results.length, "f32"));
    }
  }
  for (let count = 1 + maker.int(2); count > 0; count--) {
    const level = inner.length > 0 && maker.random() < 0.5 ? "inner" : "outer";
    const [a, s] = level === "inner" ? [axes, sizes] : [outerAxes, outer];
    stages.push({ kind: "store", level, ...maker.store(maker.value(a, s, results), a, s) });
  }
  return maker.done({ kind: "loop", name: `loop${seed}`, outer, inner, stages });
}

/** A product of random size and operand layout, with an epilogue. */
export function randomContract(seed: number, most = 40): Case {
  const maker = new Maker(seed);
  const size = (n: number): number => 1 + maker.int(n);
  const [batch, rows, columns, sum] = [maker.pick([1, 1, 2, 3]), size(most), size(most), size(most)];
  const sizes = [batch, rows, columns, sum];
  const axes = sizes.map((n, i) => linear.axis(i, n));
  const operand = (own: number): Expr => {
    const list = [0, own, 3].filter((axis) => axis !== 0 || maker.random() < 0.7);
    const dtype = maker.pick<DType>(["f32", "f32", "f16", "bf16"]);
    return maker.load(
      list.map((axis) => axes[axis]!),
      list.map((axis) => sizes[axis]!),
      dtype,
    );
  };
  const [a, b] = [operand(1), operand(2)];
  const shape = sizes.slice(0, 3);
  const acc = maker.build.stage(0, "f32");
  const value = maker.random() < 0.4 ? acc : maker.value(axes.slice(0, 3), shape, [acc]);
  const stores = [maker.store(value, axes.slice(0, 3), shape)];
  return maker.done({
    kind: "contract",
    name: `contract${seed}`,
    batch,
    rows,
    columns,
    sum,
    a,
    b,
    dtype: "f32",
    stores,
  });
}
