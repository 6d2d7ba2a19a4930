/** Chooses how a loop kernel is computed, and cuts long reductions of few rows in two steps. */
import { type Expr, ExprBuilder } from "../../../ir/expr.ts";
import type { BufferSpec, LoopKernel, Stage } from "../../../ir/kernel.ts";
import { add, axis, scale } from "../../../ir/linear.ts";
import { product } from "./grid.ts";
import { renderMap } from "./map.ts";
import { chooseShape, renderReduce, type Split } from "./reduce.ts";
import type { Rendered } from "./shader.ts";
import { stagesOf } from "./steps.ts";
import type { Target } from "./target.ts";

/** Workgroups that a device with many cores wants, and steps that a thread should at least make. */
const ENOUGH_GROUPS = 256;
const LEAST_STEPS = 16;
const MOST_PARTS = 256;

/** Adds a temporary of the plan; gives its number. */
export type AddBuffer = (spec: BufferSpec) => number;

export function renderLoop(
  kernel: LoopKernel,
  buffers: readonly BufferSpec[],
  target: Target,
  addBuffer: AddBuffer,
): Rendered[] {
  const { name, outer, stages } = kernel;
  if (product(outer) === 0) return [];
  if (!stages.some(({ kind }) => kind === "reduce")) return renderMaps(kernel, buffers, target);
  const split = chooseSplit(kernel, buffers, target, addBuffer);
  if (!split) return [renderReduce(kernel, buffers, target, null)];
  const rows = product(outer);
  const part = axis(outer.length, split.parts);
  const row = outer.reduce((sum, n, i) => add(scale(sum, n), axis(i, n)), axis(0, 1));
  const build = new ExprBuilder();
  const joined = stages.map((stage, i): Stage => {
    if (stage.kind === "store") return stage;
    const value: Expr = build.load(split.buffers[i]!, add(scale(part, rows), row), stage.dtype);
    // A key of its own: the stores' keys come from another builder.
    return { ...stage, value: { ...value, key: `part${i}` } };
  });
  const second: LoopKernel = { kind: "loop", name: `${name} (joined)`, outer, inner: [split.parts], stages: joined };
  return [renderReduce(kernel, buffers, target, split), renderReduce(second, buffers, target, null)];
}

/** Without reductions, stores of both levels are maps, over all loop variables or the outer ones. */
function renderMaps(kernel: LoopKernel, buffers: readonly BufferSpec[], target: Target): Rendered[] {
  const { name, outer, inner, stages } = kernel;
  const stores = stages.filter((stage) => stage.kind === "store");
  const levels = [
    { sizes: outer, stores: stores.filter(({ level }) => level === "outer" || inner.length === 0) },
    { sizes: [...outer, ...inner], stores: stores.filter(({ level }) => level === "inner" && inner.length > 0) },
  ];
  return levels
    .filter((level) => level.stores.length > 0 && product(level.sizes) > 0)
    .map((level) => renderMap(name, level.sizes, level.stores, buffers, target));
}

/** Rows too few to fill the device are cut in parts; how many depends on the shape only, so sums are reproducible. */
function chooseSplit(
  kernel: LoopKernel,
  buffers: readonly BufferSpec[],
  target: Target,
  addBuffer: AddBuffer,
): Split | null {
  const { outer, inner, stages } = kernel;
  const reduces = stages.filter((stage) => stage.kind === "reduce");
  if (reduces.some(({ value }) => stagesOf(value) !== 0)) return null;
  if (stages.some((stage) => stage.kind === "store" && stage.level === "inner")) return null;
  // Stages come before stores, so that a stage's number is its place.
  if (stages.findIndex(({ kind }) => kind === "store") < reduces.length) return null;
  if (reduces.some(({ dtype }) => dtype === "bool")) return null;
  const shape = chooseShape(kernel, buffers, target);
  const rows = product(outer);
  const length = product(inner);
  const step = shape.threads * shape.vector.lanes;
  const parts = Math.min(
    MOST_PARTS,
    Math.ceil(ENOUGH_GROUPS / Math.ceil(rows / shape.rows)),
    Math.floor(length / (step * LEAST_STEPS)),
  );
  if (parts < 2) return null;
  const each = Math.ceil(length / parts / step) * step;
  const count = Math.ceil(length / each);
  return {
    parts: count,
    length: each,
    buffers: reduces.map(({ dtype }) =>
      addBuffer({ dtype: wide(dtype), size: count * rows, role: "temporary", position: -1 }),
    ),
  };
}

const wide = (dtype: BufferSpec["dtype"]): BufferSpec["dtype"] =>
  dtype === "f16" || dtype === "bf16" ? "f32" : dtype === "u8" ? "u32" : dtype;
