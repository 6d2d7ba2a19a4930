import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { renderSchedule } from "../../src/backends/webgpu/plan.ts";
import type { Target } from "../../src/backends/webgpu/render/target.ts";
import { TILES } from "../../src/backends/webgpu/render/tiles.ts";
import type { DType } from "../../src/dtype.ts";
import { type Expr, ExprBuilder } from "../../src/ir/expr.ts";
import type { Kernel, LoopKernel, Schedule } from "../../src/ir/kernel.ts";
import { add, axis, constant, div, fromValue, type Linear, mod, scale } from "../../src/ir/linear.ts";
import type { KernelOp } from "../../src/op.ts";
import { addOp, maximumOp, mulOp, subOp } from "../../src/ops/arithmetic.ts";
import { attentionBackwardOp, attentionOp } from "../../src/ops/attention.ts";
import { castOp } from "../../src/ops/cast.ts";
import { expOp } from "../../src/ops/exponential.ts";
import { maxOp, sumOp } from "../../src/ops/reduce.ts";
import { scanOp } from "../../src/ops/scan.ts";
import { scatterOp } from "../../src/ops/scatter.ts";
import { sortOp } from "../../src/ops/sort.ts";
import { input, map, output, product, scaled, sums } from "./schedules.ts";

/** Limits that every adapter has. */
const LIMITS = {
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
} as GPUSupportedLimits;
const GPU: Target = { maxBinding: 2 ** 27, maxBuffers: 8, software: false, f16: false, big: TILES.medium };

const at = (indices: readonly Linear[], sizes: readonly number[]): Linear =>
  indices.reduce((sum, index, i) => add(scale(sum, sizes[i]!), index), constant(0));

/** Rows of softmax: two reductions and an inner store. */
function softmax(rows: number, n: number): Schedule {
  const build = new ExprBuilder();
  const index = add(scale(axis(0, rows), n), axis(1, n));
  const x = build.load(0, index, "f32");
  const e = build.apply(expOp, [build.apply(subOp, [x, build.stage(0, "f32")], "f32")], "f32");
  const kernel: LoopKernel = {
    kind: "loop",
    name: "softmax",
    outer: [rows],
    inner: [n],
    stages: [
      { kind: "reduce", op: maxOp, value: x, dtype: "f32" },
      { kind: "reduce", op: sumOp, value: e, dtype: "f32" },
      { kind: "store", level: "inner", buffer: 1, index, value: build.apply(mulOp, [e, build.stage(1, "f32")], "f32") },
    ],
  };
  return { buffers: [input(0, rows * n), output(0, rows * n)], kernels: [kernel] };
}

/** Rows of a table by an index tensor, NaN where it is out of range. */
function take(count: number, rows: number, width: number): Schedule {
  const build = new ExprBuilder();
  const [n, d] = [axis(0, count), axis(1, width)];
  const id = build.load(1, n, "i32");
  const clamped = build.apply(maximumOp, [id, build.constant(0, "i32")], "i32");
  const loaded = build.load(0, add(scale(fromValue(clamped, rows, clamped.key), width), d), "f32");
  const inRange = { index: fromValue(id, 2 ** 31, id.key), low: 0, high: rows };
  const index = at([n, d], [count, width]);
  const kernel: Kernel = {
    kind: "loop",
    name: "take",
    outer: [count, width],
    inner: [],
    stages: [{ kind: "store", level: "outer", buffer: 2, index, value: build.guard([inRange], loaded, Number.NaN) }],
  };
  return { buffers: [input(0, rows * width), input(1, count, "i32"), output(0, count * width)], kernels: [kernel] };
}

/** A product with bias and residual, f16 operands, the right one transposed. */
function epilogue(): Schedule {
  const [rows, sum, columns] = [128, 64, 128];
  const build = new ExprBuilder();
  const [m, n, k] = [axis(1, rows), axis(2, columns), axis(3, sum)];
  const index = add(scale(m, columns), n);
  const value = [build.load(2, n, "f32"), build.load(3, index, "f32")].reduce<Expr>(
    (total, term) => build.apply(addOp, [total, term], "f32"),
    build.stage(0, "f32"),
  );
  const kernel: Kernel = {
    kind: "contract",
    name: "epilogue",
    batch: 1,
    rows,
    columns,
    sum,
    a: build.load(0, add(scale(m, sum), k), "f16"),
    b: build.load(1, add(scale(n, sum), k), "f16"),
    dtype: "f32",
    stores: [{ buffer: 4, index, value }],
  };
  const buffers = [input(0, rows * sum, "f16"), input(1, sum * columns, "f16"), input(2, columns)];
  return { buffers: [...buffers, input(3, rows * columns), output(0, rows * columns)], kernels: [kernel] };
}

/** A 3 × 3 convolution with padding 1 over [H W C], as a product whose left operand are the windows. */
function convolution(): Schedule {
  const [height, width, channels, filters] = [8, 8, 16, 32];
  const build = new ExprBuilder();
  const [position, filter, k] = [axis(1, height * width), axis(2, filters), axis(3, 9 * channels)];
  const y = add(add(div(position, width), div(k, 3 * channels)), constant(-1));
  const x = add(add(mod(position, width), mod(div(k, channels), 3)), constant(-1));
  const pixel = build.load(0, at([y, x, mod(k, channels)], [height, width, channels]), "f32");
  const inside = [
    { index: y, low: 0, high: height },
    { index: x, low: 0, high: width },
  ];
  const index = add(scale(position, filters), filter);
  const kernel: Kernel = {
    kind: "contract",
    name: "convolution",
    batch: 1,
    rows: height * width,
    columns: filters,
    sum: 9 * channels,
    a: build.guard(inside, pixel, 0),
    b: build.load(1, add(scale(k, filters), filter), "f32"),
    dtype: "f32",
    stores: [{ buffer: 2, index, value: build.stage(0, "f32") }],
  };
  const sizes = [height * width * channels, 9 * channels * filters, height * width * filters] as const;
  return { buffers: [input(0, sizes[0]), input(1, sizes[1]), output(0, sizes[2])], kernels: [kernel] };
}

function transposed(rows: number, columns: number, dtype: DType): Schedule {
  const build = new ExprBuilder();
  const [r, c] = [axis(0, rows), axis(1, columns)];
  const value = build.load(0, add(scale(c, rows), r), dtype);
  const index = add(scale(r, columns), c);
  const kernel: Kernel = {
    kind: "loop",
    name: "transpose",
    outer: [rows, columns],
    inner: [],
    stages: [{ kind: "store", level: "outer", buffer: 1, index, value }],
  };
  return { buffers: [input(0, rows * columns, dtype), output(0, rows * columns, dtype)], kernels: [kernel] };
}

function custom(
  op: KernelOp,
  shapes: readonly (readonly number[])[],
  attributes: object,
  dtypes: DType[] = [],
): Schedule {
  const specs = shapes.map((shape, i) => ({ shape, dtype: dtypes[i] ?? ("f32" as const) }));
  const outputs = op.outputs(specs, attributes as never);
  const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  const buffers = [
    ...specs.map(({ shape, dtype }, i) => input(i, size(shape), dtype)),
    ...outputs.map(({ shape, dtype }, i) => output(i, size(shape), dtype)),
  ];
  const operands = [...specs, ...outputs].map(({ shape, dtype }, buffer) => ({ buffer, shape, dtype }));
  const kernel: Kernel = {
    kind: "custom",
    name: op.name,
    op,
    attributes: attributes as never,
    inputs: operands.slice(0, specs.length),
    outputs: operands.slice(specs.length),
  };
  return { buffers, kernels: [kernel] };
}

const attention = { scale: 0.125, causal: true, mask: false, bias: false, lengths: false };
const heads = [2, 4, 32, 64];

const canonical: Record<string, Schedule> = {
  "map-vector": scaled(1024, 2.5),
  "map-bool-flat": {
    buffers: [input(0, 15), input(1, 5), output(0, 15, "bool")],
    kernels: [flatMask()],
  },
  "map-cast-f16": {
    buffers: [input(0, 100, "i32"), output(0, 100, "f16")],
    kernels: [map(100, 1, (build, index) => build.apply(castOp, [build.load(0, index, "i32")], "f32"))],
  },
  "map-transpose": transposed(64, 96, "f32"),
  "map-transpose-bool": transposed(6, 10, "bool"),
  take: take(20, 100, 32),
  "row-sum": sums(100, 768),
  "column-sum": sums(768, 100, true),
  "split-sum": sums(1, 2 ** 20),
  softmax: softmax(64, 512),
  product: product(256, 256, 256),
  "product-small-edges": product(30, 18, 29),
  "product-epilogue-f16": epilogue(),
  "product-convolution": convolution(),
  "attention-causal": custom(attentionOp, [heads, heads, heads], attention),
  "attention-backward": custom(attentionBackwardOp, [heads, heads, heads, heads.slice(0, 3), heads, heads], attention),
  scatter: custom(scatterOp, [[8], [8, 16]], { rows: 100, combine: "add" }, ["i32", "f32"]),
  scan: custom(scanOp, [[4, 300]], { combine: "add", reverse: false, exclusive: false }),
  sort: custom(sortOp, [[2, 100]], { descending: false }),
};

function flatMask(): Kernel {
  const build = new ExprBuilder();
  const [r, c] = [axis(0, 3), axis(1, 5)];
  const index = add(scale(r, 5), c);
  const value = build.apply(
    castOp,
    [build.apply(subOp, [build.load(0, index, "f32"), build.load(1, c, "f32")], "f32")],
    "bool",
  );
  const store = { kind: "store" as const, level: "outer" as const, buffer: 2, index, value };
  return { kind: "loop", name: "mask", outer: [3, 5], inner: [], stages: [store] };
}

describe("the WGSL of canonical kernels", () => {
  it.each(Object.entries(canonical))("%s", (name, schedule) => {
    const passes = renderSchedule(schedule, [...schedule.buffers], LIMITS, GPU);
    const text = passes
      .map(
        ({ wgsl, workgroups, params }) =>
          `// workgroups ${workgroups.join(" × ")}, parameters ${params.join(" ")}\n${wgsl}`,
      )
      .join("\n");
    const file = new URL(`./golden/${name}.wgsl`, import.meta.url);
    // VLM_UPDATE_GOLDEN=1 writes them anew; review the difference.
    if (process.env.VLM_UPDATE_GOLDEN || !existsSync(file)) writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, "utf8"));
  });
});

it("whichever tile is the fastest, sums are cut alike: the tile does not change results", () => {
  const cuts = Object.values(TILES).map((big) => {
    const schedule = product(96, 8192, 128);
    const passes = renderSchedule(schedule, [...schedule.buffers], LIMITS, { ...GPU, big });
    const [first] = passes;
    expect(passes).toHaveLength(2);
    return { partial: first!.bindings.length, parts: passes[1]!.params.join() };
  });
  for (const cut of cuts) expect(cut).toEqual(cuts[0]);
});

it("kernels stay within the workgroup memory and threads that every adapter has", () => {
  const bytesOf = (type: string): number => {
    if (type === "Pair") return 8; // a key and its place
    const [, lanes = "1", element = "f32"] = /^(?:vec(\d)<?)?(.+?)>?$/.exec(type)!;
    expect(["f", "f32", "u32", "i32", "bool"]).toContain(element);
    return 4 * Number(lanes);
  };
  for (const schedule of Object.values(canonical)) {
    for (const { wgsl } of renderSchedule(schedule, [...schedule.buffers], LIMITS, GPU)) {
      const shared = [...wgsl.matchAll(/var<workgroup> \w+: array<([\w<>]+), (\d+)>/g)];
      const used = shared.reduce((sum, [, type, count]) => sum + bytesOf(type!) * Number(count), 0);
      expect(used).toBeLessThanOrEqual(16384);
      const sizes = /@workgroup_size\(([\d, ]+)\)/.exec(wgsl)![1]!.split(",").map(Number);
      expect(sizes.reduce((a, b) => a * b)).toBeLessThanOrEqual(256);
    }
  }
});
