/**
 * Attention without its matrix of scores (Dao 2023, FlashAttention-2): a thread holds one row of queries and walks over
 * tiles of keys and values in workgroup memory, rescaling its sum as the greatest score grows.
 */
import type { Attributes, TensorSpec } from "../../../op.ts";
import type { WebGpuKernel, WebGpuKernelContext } from "../custom.ts";

/** Rows per workgroup. */
const ROWS = 64;
/** Keys (or queries) staged at a time. */
const TILE = 16;

type Sizes = { B: number; H: number; G: number; N: number; M: number; D: number; E: number };

function sizesOf(inputs: readonly TensorSpec[]): Sizes {
  const [q, k, v] = inputs as [TensorSpec, TensorSpec, TensorSpec];
  const [B, H, N, D] = q.shape as [number, number, number, number];
  return { B, H, G: k.shape[1]!, N, M: k.shape[2]!, D, E: v.shape[3]! };
}

/** Whether the kernels here take these arguments: f32, and head widths that fit into registers as vec4. */
export function attentionFits(inputs: readonly TensorSpec[], attributes: Attributes, backward: boolean): boolean {
  const { D, E, N, M } = sizesOf(inputs);
  if (backward && attributes.bias) return false;
  const floats = inputs.slice(0, 3).every(({ dtype }) => dtype === "f32");
  return floats && N > 0 && M > 0 && D % 4 === 0 && E % 4 === 0 && D <= 128 && E <= 128;
}

/** Declarations shared by all passes, and a function `score` that is HIDDEN where the query may not look. */
function prelude(
  { inputs, attributes }: WebGpuKernelContext,
  names: readonly string[],
  outputs: readonly string[],
): string {
  const { H, G, N, M, D } = sizesOf(inputs);
  const scale = attributes.scale as number;
  const lines: string[] = [];
  const vector = new Set(["q", "k", "v", "dy", "y", "dq", "dk", "dv"]);
  [...names, ...outputs].forEach((name, at) => {
    const type = name === "mask" ? "u32" : name === "lengths" ? "i32" : vector.has(name) ? "vec4f" : "f32";
    const access = outputs.includes(name) ? "read_write" : "read";
    lines.push(`@group(0) @binding(${at}) var<storage, ${access}> ${name}: array<${type}>;`);
  });
  const optional = (name: "mask" | "bias"): string => {
    const { shape } = inputs[names.indexOf(name)]!;
    const [b, h, n, m] = shape as [number, number, number, number];
    const at = (size: number, index: string): string => (size === 1 ? "0" : index);
    return `((${at(b, "batch")} * ${h} + ${at(h, "head")}) * ${n} + ${at(n, "n")}) * ${m} + ${at(m, "m")}`;
  };
  const hidden: string[] = [];
  if (attributes.lengths) hidden.push("m >= lengths[batch]");
  if (attributes.causal) hidden.push(`m > n + ${attributes.lengths ? "lengths[batch]" : M} - ${N}`);
  if (attributes.mask) hidden.push(`mask[${optional("mask")}] == 0u`);
  lines.push(
    "const HIDDEN = -1e30f;",
    `const scale = ${Math.fround(scale)}f;`,
    `fn key_head(head: i32) -> i32 { return head / ${H / G}; }`,
    "fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {",
    `  ${hidden.length > 0 ? `if (${hidden.join(" || ")}) { return HIDDEN; }` : ""}`,
    `  return product * scale${attributes.bias ? ` + bias[${optional("bias")}]` : ""};`,
    "}",
    `const D4 = ${D / 4};`,
  );
  return lines.join("\n");
}

const inputNames = ({ attributes }: WebGpuKernelContext): string[] => [
  "q",
  "k",
  "v",
  ...(attributes.mask ? ["mask"] : []),
  ...(attributes.bias ? ["bias"] : []),
  ...(attributes.lengths ? ["lengths"] : []),
];

const bind = (names: readonly string[], all: readonly string[]): { input: number }[] =>
  names.map((name) => ({ input: all.indexOf(name) }));

/** y and lse. */
export const attentionWebGpu: WebGpuKernel = (context) => {
  const { B, H, G, N, M, D, E } = sizesOf(context.inputs);
  const names = inputNames(context);
  const E4 = E / 4;
  const wgsl = `${prelude(context, names, ["y", "lse"])}
var<workgroup> keys: array<vec4f, ${TILE * (D / 4)}>;
var<workgroup> values: array<vec4f, ${TILE * E4}>;
@compute @workgroup_size(${ROWS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let local = i32(local_index);
  let n = i32(group.x) * ${ROWS} + local;
  let head = i32(group.y);
  let batch = i32(group.z);
  let row = (batch * ${H} + head) * ${N} + min(n, ${N - 1});
  let first = (batch * ${G} + key_head(head)) * ${M};
  var query: array<vec4f, D4>;
  for (var d = 0; d < D4; d++) { query[d] = q[row * D4 + d]; }
  var sum: array<vec4f, ${E4}>;
  var greatest = HIDDEN;
  var total = 0.0;
  for (var m0 = 0; m0 < ${M}; m0 += ${TILE}) {
    for (var u = local; u < ${TILE} * D4; u += ${ROWS}) { keys[u] = k[min(first * D4 + m0 * D4 + u, ${B * G * M} * D4 - 1)]; }
    for (var u = local; u < ${TILE * E4}; u += ${ROWS}) { values[u] = v[min((first + m0) * ${E4} + u, ${B * G * M * E4 - 1})]; }
    workgroupBarrier();
    let count = min(${TILE}, ${M} - m0);
    var scores: array<f32, ${TILE}>;
    var most = greatest;
    for (var j = 0; j < count; j++) {
      var product = vec4f(0.0);
      for (var d = 0; d < D4; d++) { product = fma(query[d], keys[j * D4 + d], product); }
      let s = finish(batch, head, n, m0 + j, dot(product, vec4f(1.0)));
      scores[j] = s;
      most = max(most, s);
    }
    let shrink = exp(greatest - most);
    total *= shrink;
    for (var d = 0; d < ${E4}; d++) { sum[d] *= shrink; }
    greatest = most;
    for (var j = 0; j < count; j++) {
      let p = select(exp(scores[j] - most), 0.0, scores[j] <= HIDDEN);
      total += p;
      for (var d = 0; d < ${E4}; d++) { sum[d] = fma(vec4f(p), values[j * ${E4} + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (n < ${N}) {
    let share = select(0.0, 1.0 / total, total > 0.0);
    for (var d = 0; d < ${E4}; d++) { y[row * ${E4} + d] = sum[d] * share; }
    lse[row] = select(-HIDDEN, greatest + log(total), total > 0.0);
  }
}`;
  return {
    passes: [
      {
        wgsl,
        bindings: [...bind(names, names), { output: 0 }, { output: 1 }],
        workgroups: [Math.ceil(N / ROWS), H, B],
      },
    ],
  };
};

/** dq, then dk and dv: each thread owns a row of its result, so nothing is added across threads. */
export const attentionBackwardWebGpu: WebGpuKernel = (context) => {
  const { B, H, G, N, M, D, E } = sizesOf(context.inputs);
  const E4 = E / 4;
  const all = [...inputNames(context), "lse", "delta", "dy"];
  const used = all.filter((name) => name !== "bias");
  const head = (outputs: readonly string[]): string => prelude(context, used, outputs);
  const queries = `${head(["dq"])}
var<workgroup> keys: array<vec4f, ${TILE * (D / 4)}>;
var<workgroup> values: array<vec4f, ${TILE * E4}>;
@compute @workgroup_size(${ROWS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let local = i32(local_index);
  let n = i32(group.x) * ${ROWS} + local;
  let head = i32(group.y);
  let batch = i32(group.z);
  let row = (batch * ${H} + head) * ${N} + min(n, ${N - 1});
  let first = (batch * ${G} + key_head(head)) * ${M};
  var query: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  var above: array<vec4f, ${E4}>;
  for (var d = 0; d < D4; d++) { query[d] = q[row * D4 + d]; }
  for (var d = 0; d < ${E4}; d++) { above[d] = dy[row * ${E4} + d]; }
  for (var m0 = 0; m0 < ${M}; m0 += ${TILE}) {
    for (var u = local; u < ${TILE} * D4; u += ${ROWS}) { keys[u] = k[min(first * D4 + m0 * D4 + u, ${B * G * M} * D4 - 1)]; }
    for (var u = local; u < ${TILE * E4}; u += ${ROWS}) { values[u] = v[min((first + m0) * ${E4} + u, ${B * G * M * E4 - 1})]; }
    workgroupBarrier();
    let count = min(${TILE}, ${M} - m0);
    for (var j = 0; j < count; j++) {
      var product = vec4f(0.0);
      for (var d = 0; d < D4; d++) { product = fma(query[d], keys[j * D4 + d], product); }
      let s = finish(batch, head, n, m0 + j, dot(product, vec4f(1.0)));
      let p = select(exp(s - lse[row]), 0.0, s <= HIDDEN);
      var gain = vec4f(0.0);
      for (var d = 0; d < ${E4}; d++) { gain = fma(above[d], values[j * ${E4} + d], gain); }
      let ds = p * (dot(gain, vec4f(1.0)) - delta[row]) * scale;
      for (var d = 0; d < D4; d++) { sum[d] = fma(vec4f(ds), keys[j * D4 + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (n < ${N}) { for (var d = 0; d < D4; d++) { dq[row * D4 + d] = sum[d]; } }
}`;
  const pairs = `${head(["dk", "dv"])}
var<workgroup> queries: array<vec4f, ${TILE * (D / 4)}>;
var<workgroup> aboves: array<vec4f, ${TILE * E4}>;
@compute @workgroup_size(${ROWS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local_index: u32) {
  let local = i32(local_index);
  let m = i32(group.x) * ${ROWS} + local;
  let batch = i32(group.z);
  let row = (batch * ${G} + i32(group.y)) * ${M} + min(m, ${M - 1});
  var key: array<vec4f, D4>;
  var value: array<vec4f, ${E4}>;
  var key_sum: array<vec4f, D4>;
  var value_sum: array<vec4f, ${E4}>;
  for (var d = 0; d < D4; d++) { key[d] = k[row * D4 + d]; }
  for (var d = 0; d < ${E4}; d++) { value[d] = v[row * ${E4} + d]; }
  for (var r = 0; r < ${H / G}; r++) {
    let head = i32(group.y) * ${H / G} + r;
    let first = (batch * ${H} + head) * ${N};
    for (var n0 = 0; n0 < ${N}; n0 += ${TILE}) {
      for (var u = local; u < ${TILE} * D4; u += ${ROWS}) { queries[u] = q[min((first + n0) * D4 + u, ${B * H * N} * D4 - 1)]; }
      for (var u = local; u < ${TILE * E4}; u += ${ROWS}) { aboves[u] = dy[min((first + n0) * ${E4} + u, ${B * H * N * E4 - 1})]; }
      workgroupBarrier();
      let count = min(${TILE}, ${N} - n0);
      for (var j = 0; j < count; j++) {
        var product = vec4f(0.0);
        for (var d = 0; d < D4; d++) { product = fma(key[d], queries[j * D4 + d], product); }
        let s = finish(batch, head, n0 + j, m, dot(product, vec4f(1.0)));
        let at = first + n0 + j;
        let p = select(exp(s - lse[at]), 0.0, s <= HIDDEN);
        var gain = vec4f(0.0);
        for (var d = 0; d < ${E4}; d++) {
          let above = aboves[j * ${E4} + d];
          gain = fma(above, value[d], gain);
          value_sum[d] = fma(vec4f(p), above, value_sum[d]);
        }
        let ds = p * (dot(gain, vec4f(1.0)) - delta[at]) * scale;
        for (var d = 0; d < D4; d++) { key_sum[d] = fma(vec4f(ds), queries[j * D4 + d], key_sum[d]); }
      }
      workgroupBarrier();
    }
  }
  if (m < ${M}) {
    for (var d = 0; d < D4; d++) { dk[row * D4 + d] = key_sum[d]; }
    for (var d = 0; d < ${E4}; d++) { dv[row * ${E4} + d] = value_sum[d]; }
  }
}`;
  const inputs = bind(used, all);
  // A shader's layout holds only what it uses: dq's pass reads everything, and so does the other.
  return {
    passes: [
      { wgsl: queries, bindings: [...inputs, { output: 0 }], workgroups: [Math.ceil(N / ROWS), H, B] },
      { wgsl: pairs, bindings: [...inputs, { output: 1 }, { output: 2 }], workgroups: [Math.ceil(M / ROWS), G, B] },
    ],
  };
};
