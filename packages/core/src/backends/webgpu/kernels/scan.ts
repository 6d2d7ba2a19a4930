/** Running sums, products and extrema of rows: a workgroup per row, each thread a run of it, the runs' totals shared. */
import { computeType } from "../../../dtype.ts";
import type { TensorSpec } from "../../../op.ts";
import type { WebGpuKernel } from "../custom.ts";
import { Pass } from "./pass.ts";

const THREADS = 128;

type Fold = { join(a: string, b: string): string; identity(type: "f32" | "i32" | "u32"): number };

const least = { f32: Number.NEGATIVE_INFINITY, i32: -(2 ** 31), u32: 0 };
const greatest = { f32: Number.POSITIVE_INFINITY, i32: 2 ** 31 - 1, u32: 2 ** 32 - 1 };

const folds: Record<string, Fold> = {
  add: { join: (a, b) => `(${a} + ${b})`, identity: () => 0 },
  mul: { join: (a, b) => `(${a} * ${b})`, identity: () => 1 },
  max: { join: (a, b) => `max(${a}, ${b})`, identity: (type) => least[type] },
  min: { join: (a, b) => `min(${a}, ${b})`, identity: (type) => greatest[type] },
};

/** Whether the kernel takes these rows. */
export const scanFits = ([x]: readonly TensorSpec[]): boolean =>
  ["f32", "i32", "u32"].includes(x!.dtype) && x!.shape[0]! * x!.shape[1]! > 0;

/** y[r, i] = x[r, 0] ∘ … ∘ x[r, i]. */
export const scanWebGpu: WebGpuKernel = (context) => {
  const { inputs, outputs, attributes } = context;
  const x = inputs[0]!;
  const [rows, n] = x.shape as [number, number];
  const pass = new Pass(context);
  const { shader } = pass;
  pass.bind("x", { input: 0 }, x);
  pass.bind("y", { output: 0 }, outputs[0]!);
  const type = computeType(x.dtype) as "f32" | "i32" | "u32";
  const { join, identity } = folds[attributes.combine as string]!;
  const none = shader.literal(identity(type), type);
  const length = shader.integer(n);
  const place = attributes.reverse ? `${length} - 1 - i` : "i";
  const total = "total[lid]";
  const run = shader.integer(Math.ceil(n / THREADS));
  shader.define(`var<workgroup> total: array<${type}, ${THREADS}>;`);
  const steps: string[] = [];
  for (let by = 1; by < THREADS; by *= 2) {
    steps.push(`{
    var joined = ${total};
    if (lid >= ${by}u) { joined = ${join(`total[lid - ${by}u]`, "joined")}; }
    workgroupBarrier();
    ${total} = joined;
    workgroupBarrier();
  }`);
  }
  const write = attributes.exclusive
    ? `${pass.put("y", "at", "sum")} sum = ${join("sum", "value")};`
    : `sum = ${join("sum", "value")}; ${pass.put("y", "at", "sum")}`;
  const body = `  let row = i32(group);
  if (row >= ${shader.integer(rows)}) { return; }
  let first = min(i32(lid) * ${run}, ${length});
  let last = min(first + ${run}, ${length});
  var sum: ${type} = ${none};
  for (var i = first; i < last; i++) { sum = ${join("sum", pass.get("x", `row * ${length} + ${place}`))}; }
  ${total} = sum;
  workgroupBarrier();
  ${steps.join("\n  ")}
  sum = ${none};
  if (lid > 0u) { sum = total[lid - 1u]; }
  for (var i = first; i < last; i++) {
    let at = row * ${length} + ${place};
    let value = ${pass.get("x", "at")};
    ${write}
  }`;
  return { passes: [pass.finish("scan", THREADS, rows, body)] };
};
