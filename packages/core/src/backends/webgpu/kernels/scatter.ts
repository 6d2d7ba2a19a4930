/**
 * Scatter without atomics, so that sums do not depend on who comes first: a thread owns one element of the result and
 * walks over the ids of its row. A first pass finds for every row the range of updates that can concern it.
 */
import type { ComputeType } from "../../../dtype.ts";
import { computeType } from "../../../dtype.ts";
import type { WebGpuKernel } from "../custom.ts";
import { wgslLiteral } from "../wgsl-values.ts";

const WORKGROUP = 64;

const folds: Record<string, (a: string, b: string) => string> = {
  set: (_a, b) => b,
  add: (a, b) => `${a} + ${b}`,
  mul: (a, b) => `${a} * ${b}`,
  max: (a, b) => `max(${a}, ${b})`,
  min: (a, b) => `min(${a}, ${b})`,
};

/** out[ids[n], d] ∘= updates[n, d], in the order of n. */
export const scatterWebGpu: WebGpuKernel = ({ inputs, outputs, attributes }) => {
  const [rows, width] = outputs[0]!.shape as [number, number];
  const count = inputs[1]!.shape[0]!;
  const dtype = outputs[0]!.dtype;
  const type: ComputeType = computeType(dtype);
  const base = inputs.length > 2;
  const fold = folds[attributes.combine as string]!;
  // Pass 1: next[n] is the next update of the same row, head[v] the first of row v (count: none). Written backwards.
  const link = `@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read_write> next: array<i32>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let n = i32(at.x + at.y * groups.x * ${WORKGROUP}u);
  if (n >= ${rows + count}) { return; }
  // Entries 0 … V − 1 are the heads of rows; V + n follows update n.
  let row = select(n, ids[max(n - ${rows}, 0)], n >= ${rows});
  var m = max(n - ${rows} + 1, 0);
  while (m < ${count} && ids[m] != row) { m++; }
  next[n] = m;
}`;
  const write = `@group(0) @binding(0) var<storage, read> updates: array<${type}>;
${base ? `@group(0) @binding(1) var<storage, read> base: array<${type}>;` : ""}
@group(0) @binding(${base ? 2 : 1}) var<storage, read_write> result: array<${type}>;
@group(0) @binding(${base ? 3 : 2}) var<storage, read> next: array<i32>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) at: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let e = i32(at.x + at.y * groups.x * ${WORKGROUP}u);
  if (e >= ${rows * width}) { return; }
  var value = ${base ? "base[e]" : wgslLiteral(0, type)};
  var n = next[e / ${width}];
  while (n < ${count}) {
    value = ${fold("value", `updates[n * ${width} + e % ${width}]`)};
    n = next[${rows} + n];
  }
  result[e] = value;
}`;
  const grid = (threads: number): [number, number, number] => {
    const groups = Math.max(1, Math.ceil(threads / WORKGROUP));
    const x = Math.min(groups, 65535);
    return [x, Math.ceil(groups / x), 1];
  };
  return {
    scratch: [rows + count],
    passes: [
      { wgsl: link, bindings: [{ input: 0 }, { scratch: 0 }], workgroups: grid(rows + count) },
      {
        wgsl: write,
        bindings: [{ input: 1 }, ...(base ? [{ input: 2 }] : []), { output: 0 }, { scratch: 0 }],
        workgroups: grid(rows * width),
      },
    ],
  };
};
