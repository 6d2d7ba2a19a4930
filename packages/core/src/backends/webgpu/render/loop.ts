/** Chooses how a loop kernel is computed, and cuts long reductions of few rows in two steps. */
import { computeType, type DType } from "../../../dtype.ts";
import { stagesOf } from "../../../ir/dependence.ts";
import { ExprBuilder } from "../../../ir/expr.ts";
import type { BufferSpec, LoopKernel, Stage } from "../../../ir/kernel.ts";
import { add, axis, constant, scale } from "../../../ir/linear.ts";
import { product } from "./grid.ts";
import { renderMap } from "./map.ts";
import { chooseShape, renderReduce, type Split } from "./reduce.ts";
import type { Rendered } from "./shader.ts";
import { type AddBuffer, cutSteps } from "./stages.ts";
import type { Target } from "./target.ts";

/** Workgroups that a device with many cores wants, and steps that a thread should at least make. */
const ENOUGH_GROUPS = 256;
const LEAST_STEPS = 16;
const MOST_PARTS = 256;

export function renderLoop(
  kernel: LoopKernel,
  buffers: readonly BufferSpec[],
  target: Target,
  addBuffer: AddBuffer,
): Rendered[] {
  if (product(kernel.outer) === 0) return [];
  if (!kernel.stages.some(({ kind }) => kind === "reduce")) return renderMaps(kernel, buffers, target);
  const parts = chooseParts(kernel, buffers, target);
  if (parts > 1) {
    const cut = isOneStep(kernel)
      ? renderSplit(kernel, chooseSplit(kernel, buffers, target, parts, addBuffer), buffers, target)
      : (cutSteps(kernel, addBuffer) ?? []).flatMap((step) => renderLoop(step, buffers, target, addBuffer));
    // Results on the way need room among the bindings too.
    if (cut.length > 0 && cut.every(({ bindings }) => bindings.length <= target.maxBuffers)) return cut;
  }
  return [renderReduce(kernel, buffers, target, null)];
}

function renderSplit(kernel: LoopKernel, split: Split, buffers: readonly BufferSpec[], target: Target): Rendered[] {
  const { name, outer, stages } = kernel;
  const rows = product(outer);
  const part = axis(outer.length, split.parts);
  const row = outer.reduce((sum, n, i) => add(scale(sum, n), axis(i, n)), axis(0, 1));
  const build = new ExprBuilder();
  const joined = stages.map((stage, i): Stage => {
    if (stage.kind === "store") return stage;
    const { buffer, offset } = split.results[i]!;
    const index = add(add(scale(part, rows), row), constant(offset));
    // A key of its own: the stores' keys come from another builder.
    return { ...stage, value: { ...build.load(buffer, index, buffers[buffer]!.dtype), key: `part${i}` } };
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

/** In how many parts to cut rows too few to fill the device; depends on the shape only, so sums are reproducible. */
function chooseParts(kernel: LoopKernel, buffers: readonly BufferSpec[], target: Target): number {
  const { outer, inner, stages } = kernel;
  const reduces = stages.filter(({ kind }) => kind === "reduce");
  // Stages come before stores, so that a stage's number is its place.
  if (stages.findIndex(({ kind }) => kind === "store") < reduces.length) return 1;
  if (reduces.some((stage) => stage.kind === "reduce" && stage.dtype === "bool")) return 1;
  const shape = chooseShape(kernel, buffers, target);
  const most = Math.floor(product(inner) / (shape.threads * shape.vector.lanes * LEAST_STEPS));
  return Math.min(MOST_PARTS, Math.ceil(ENOUGH_GROUPS / Math.ceil(product(outer) / shape.rows)), most);
}

/** Whether all reductions can run at once, with nothing to do for each element afterwards. */
const isOneStep = ({ stages }: LoopKernel): boolean =>
  stages.every((stage) => (stage.kind === "reduce" ? stagesOf(stage.value) === 0 : stage.level === "outer"));

function chooseSplit(
  kernel: LoopKernel,
  buffers: readonly BufferSpec[],
  target: Target,
  parts: number,
  addBuffer: AddBuffer,
): Split {
  const reduces = kernel.stages.filter((stage) => stage.kind === "reduce");
  const { threads, vector } = chooseShape(kernel, buffers, target);
  const step = threads * vector.lanes;
  const length = product(kernel.inner);
  const rows = product(kernel.outer);
  const each = Math.ceil(length / parts / step) * step;
  const count = Math.ceil(length / each);
  // One buffer for all results of a type: bindings are few.
  const types = reduces.map(({ dtype }) => computeType(dtype));
  const sizes = new Map<DType, number>();
  const offsets = types.map((type) => {
    const offset = sizes.get(type) ?? 0;
    sizes.set(type, offset + count * rows);
    return offset;
  });
  const made = new Map(
    [...sizes].map(([dtype, size]) => [dtype, addBuffer({ dtype, size, role: "temporary", position: -1 })]),
  );
  const results = types.map((type, i) => ({ buffer: made.get(type)!, offset: offsets[i]! }));
  return { parts: count, length: each, results };
}
