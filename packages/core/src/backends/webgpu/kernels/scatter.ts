/**
 * Scatter without atomics on data, so that sums do not depend on who comes first: updates of one row form a list in
 * their order, and a thread owns a word of the result and walks along the list of its row.
 */
import type { TensorSpec } from "../../../op.ts";
import type { WebGpuArgument, WebGpuKernel } from "../custom.ts";
import { perWord, wgslType } from "../render/shader.ts";
import { Pass } from "./pass.ts";

const THREADS = 64;

const folds: Record<string, (a: string, b: string) => string> = {
  set: (_a, b) => b,
  add: (a, b) => `${a} + ${b}`,
  mul: (a, b) => `${a} * ${b}`,
  max: (a, b) => `max(${a}, ${b})`,
  min: (a, b) => `min(${a}, ${b})`,
};

/** out[ids[n], d] ∘= updates[n, d], in the order of n. */
export const scatterWebGpu: WebGpuKernel = (context) => {
  const { inputs, outputs, attributes } = context;
  const [ids, updates, base] = inputs as readonly [WebGpuArgument, WebGpuArgument, WebGpuArgument | undefined];
  const output = outputs[0]!;
  const [rows, width] = output.shape as [number, number];
  const count = ids.shape[0]!;
  const heads: TensorSpec = { shape: [rows], dtype: "u32" };
  const links: TensorSpec = { shape: [count], dtype: "i32" };
  const passes = [clearHeads(), ...(count > 0 ? [findHeads(), linkUpdates()] : []), fold()];
  return { scratch: [rows, Math.max(1, count)], passes };

  /** heads[v]: the first update of row v, or `count`. */
  function clearHeads() {
    const pass = new Pass(context);
    pass.bind("heads", { scratch: 0 }, heads);
    const end = pass.shader.integer(count);
    return pass.finish(
      "scatter: clear",
      THREADS,
      Math.ceil(rows / THREADS),
      `  let v = i32(group * ${THREADS}u + lid);
  if (v < ${pass.shader.integer(rows)}) { ${pass.put("heads", "v", `u32(${end})`)} }`,
    );
  }

  function findHeads() {
    const pass = new Pass(context);
    pass.bind("ids", { input: 0 }, ids);
    pass.bind("heads", { scratch: 0 }, heads, "atomic");
    return pass.finish(
      "scatter: heads",
      THREADS,
      Math.ceil(count / THREADS),
      `  let n = i32(group * ${THREADS}u + lid);
  if (n >= ${pass.shader.integer(count)}) { return; }
  let row = ${pass.get("ids", "n")};
  if (row >= 0 && row < ${pass.shader.integer(rows)}) { atomicMin(&b1_0[row], u32(n)); }`,
    );
  }

  /** next[n]: the update of the same row after n, or `count`. */
  function linkUpdates() {
    const pass = new Pass(context);
    pass.bind("ids", { input: 0 }, ids);
    pass.bind("next", { scratch: 1 }, links);
    const end = pass.shader.integer(count);
    return pass.finish(
      "scatter: links",
      THREADS,
      Math.ceil(count / THREADS),
      `  let n = i32(group * ${THREADS}u + lid);
  if (n >= ${end}) { return; }
  let row = ${pass.get("ids", "n")};
  var m = n + 1;
  while (m < ${end}) {
    if (${pass.get("ids", "m")} == row) { break; }
    m++;
  }
  ${pass.put("next", "n", "m")}`,
    );
  }

  function fold() {
    const pass = new Pass(context);
    const { shader } = pass;
    pass.bind("updates", { input: 1 }, updates);
    if (base) pass.bind("base", { input: 2 }, base);
    pass.bind("heads", { scratch: 0, read: true }, heads);
    pass.bind("next", { scratch: 1, read: true }, links);
    pass.bind("result", { output: 0 }, output);
    const lanes = perWord(output.dtype);
    const type = pass.typeOf("result");
    const total = rows * width;
    const words = Math.ceil(total / lanes);
    const join = folds[attributes.combine as string]!;
    const zero = type === "bool" ? "false" : `${type}(0)`;
    shader.define(`fn element(e: i32) -> ${wgslType[type as "f32"]} {
  let d = e % ${shader.integer(width)};
  var value = ${base ? pass.get("base", "e") : zero};
  var n = i32(${pass.get("heads", `e / ${shader.integer(width)}`)});
  while (n < ${shader.integer(count)}) {
    value = ${join("value", pass.get("updates", `(n * ${shader.integer(width)} + d)`))};
    n = ${pass.get("next", "n")};
  }
  return value;
}`);
    const bits = Array.from({ length: lanes }, (_, i) => {
      if (lanes === 1) return "element(w)";
      const one = shader.pack(output.dtype, `element(min(w * ${lanes} + ${i}, ${shader.integer(total - 1)}))`);
      return i === 0 ? one : `(${one} << ${(32 / lanes) * i}u)`;
    });
    return pass.finish(
      "scatter",
      THREADS,
      Math.ceil(words / THREADS),
      `  let w = i32(group * ${THREADS}u + lid);
  if (w < ${shader.integer(words)}) { ${pass.put("result", "w", bits.join(" | "))} }`,
    );
  }
};
