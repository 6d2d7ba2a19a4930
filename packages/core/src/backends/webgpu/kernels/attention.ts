/**
 * Attention without its matrix of scores (Dao 2023, FlashAttention-2, arXiv:2307.08691): a thread holds one row of
 * queries and walks over tiles of keys and values in workgroup memory, rescaling its sum as the greatest score grows.
 */
import type { DeviceLimits, StridedView, TensorSpec } from "../../../op.ts";
import type { WebGpuArgument, WebGpuBinding, WebGpuKernel, WebGpuKernelContext, WebGpuPass } from "../custom.ts";
import { product } from "../render/grid.ts";
import { Pass } from "./pass.ts";

/** Rows per workgroup. */
const ROWS = 64;
/** Keys (or queries) staged at a time: 16 rows of two operands of width 128 fill the 16 kB that every adapter has. */
const TILE = 16;
/** Score of a key that a query may not see. */
const HIDDEN = "-1e30f";

type Sizes = { B: number; H: number; G: number; N: number; M: number; D: number; E: number };

function sizesOf(inputs: readonly TensorSpec[]): Sizes {
  const [q, k, v] = inputs as [TensorSpec, TensorSpec, TensorSpec];
  const [B, H, N, D] = q.shape as [number, number, number, number];
  return { B, H, G: k.shape[1]!, N, M: k.shape[2]!, D, E: v.shape[3]! };
}

/** Operations where each pair of query and key takes so many products over the width of keys, and of values. */
const pairWork = ({ B, H, N, M, D, E }: Sizes, keys: number, values: number): number =>
  2 * B * H * N * M * (keys * D + values * E);

/**
 * Whether the kernels here take these arguments: head widths that fit into registers, enough rows to fill threads, and
 * no more arguments than the device can bind to one pass.
 */
export function attentionFits(inputs: readonly TensorSpec[], device: DeviceLimits, backward: boolean): boolean {
  const { B, H, D, E, N, M } = sizesOf(inputs);
  const floats = inputs.slice(0, 3).every(({ dtype }) => dtype === "f32" || dtype === "f16" || dtype === "bf16");
  if (!floats || B * H * N * M === 0) return false;
  // A single query against a long cache has nothing to share: plain products use more threads.
  if (!backward && N < 8 && M > 256) return false;
  const { maxKernelBuffers, bindingsOf = () => 1 } = device;
  const bindings = inputs.reduce((sum, { dtype, shape }) => sum + bindingsOf(dtype, product(shape)), 0);
  // Two more for results: y and lse; dq and delta; or dk and dv, with delta instead of y.
  if (bindings + 2 > maxKernelBuffers) return false;
  return D % 4 === 0 && E % 4 === 0 && D <= 128 && E <= 128;
}

/** Whether rows of a view can be read as vectors of four. */
export const readsRows = ({ offset, strides }: StridedView): boolean =>
  strides.at(-1) === 1 && [offset, ...strides.slice(0, -1)].every((n) => n % 4 === 0);

/** Arguments that are read by rows of vectors. */
const ROWED: ReadonlySet<string> = new Set(["q", "k", "v", "y", "dy"]);

/** A pass over the arguments that attention has, with functions for what a score is. */
class AttentionPass {
  readonly pass: Pass;
  readonly sizes: Sizes;
  /** Inputs that are there. */
  readonly names = new Set<string>();
  private readonly context: WebGpuKernelContext;

  constructor(context: WebGpuKernelContext, more: readonly string[]) {
    this.context = context;
    this.sizes = sizesOf(context.inputs);
    this.pass = new Pass(context);
    const { attributes, inputs } = context;
    const names = ["q", "k", "v"];
    for (const name of ["mask", "bias", "lengths"]) if (attributes[name]) names.push(name);
    const all = [...names, "lse", "y", "dy", "dlse"];
    for (const name of [...names, ...more]) {
      const at = all.indexOf(name);
      if (at >= inputs.length) continue;
      this.names.add(name);
      this.bind(name, { input: at }, inputs[at]!, ROWED.has(name));
    }
    this.defineVisible();
  }

  bind(name: string, binding: WebGpuBinding, spec: TensorSpec & Partial<WebGpuArgument>, wide: boolean): void {
    this.pass.bind(name, binding, spec, wide && spec.dtype === "f32" ? "vector" : "scalar");
    if (!wide) return;
    this.pass.defineRows(name);
    if ("input" in binding) this.pass.defineVectorLoad(name);
  }

  /** The sums of dy·y by row, which the pass for dq leaves to the others. */
  bindDelta(write: boolean): void {
    const { B, H, N } = this.sizes;
    const binding = write ? { scratch: 0 } : { scratch: 0, read: true };
    this.pass.bind("delta", binding, { shape: [B, H, N], dtype: "f32" });
  }

  /** The bound of a loop over a width: known to a GPU's compiler, which unrolls it. */
  bound(n: number): string {
    return this.context.software ? this.int(n) : `${n}`;
  }

  int(n: number): string {
    return this.pass.shader.integer(n);
  }

  /** Index of a mask's or bias's element, whose axes of size 1 are shared. */
  private at(input: number): string {
    const shape = this.context.inputs[input]!.shape;
    const index = ["batch", "head", "n", "m"].map((name, i) => (shape[i] === 1 ? "0" : name));
    const [b, h, n, m] = index;
    return `((${b} * ${this.int(shape[1]!)} + ${h}) * ${this.int(shape[2]!)} + ${n}) * ${this.int(shape[3]!)} + ${m}`;
  }

  /** `finish(batch, head, n, m, product)`: the score from a product of query and key; `end_of(batch)`: how many keys count. */
  private defineVisible(): void {
    const { attributes } = this.context;
    const { N, M } = this.sizes;
    const { pass } = this;
    const length = attributes.lengths ? `min(${pass.get("lengths", "batch")}, ${this.int(M)})` : this.int(M);
    pass.shader.define(`fn keys_of(batch: i32) -> i32 { return ${length}; }`);
    const hidden: string[] = [];
    if (attributes.lengths) hidden.push("m >= keys_of(batch)");
    // The queries are the last of the valid keys.
    const limit = attributes.lengths ? pass.get("lengths", "batch") : this.int(M);
    if (attributes.causal) hidden.push(`m > n + ${limit} - ${this.int(N)}`);
    if (attributes.mask) hidden.push(`!${pass.get("mask", `(${this.at(3)})`)}`);
    const bias = attributes.bias ? ` + ${pass.get("bias", this.at(attributes.mask ? 4 : 3))}` : "";
    const guard = hidden.length > 0 ? `if (${hidden.join(" || ")}) { return ${HIDDEN}; }\n  ` : "";
    pass.shader.define(`fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {
  ${guard}return product * ${pass.shader.float(attributes.scale as number)}${bias};
}`);
    // Keys after the last one that any query of rows … n sees need not be read.
    const seen = attributes.causal ? `min(keys_of(batch), n + 1 + ${limit} - ${this.int(N)})` : "keys_of(batch)";
    pass.shader.define(`fn end_for(batch: i32, n: i32) -> i32 { return ${seen}; }`);
    const first = attributes.causal ? `max(0, m - ${limit} + ${this.int(N)})` : "0";
    pass.shader.define(`fn first_for(batch: i32, m: i32) -> i32 { return ${first}; }`);
  }

  /** Statements that stage TILE rows of an operand from row `from` of a head; rows beyond the last repeat it. */
  stage(tile: string, operand: string, width: number, head: string, from: string, rows: number): string {
    const last = this.int(rows - 1);
    const row = `${operand}_at(batch, ${head}, min(${from} + u / ${width / 4}, ${last}))`;
    return `for (var u = i32(lid); u < ${(TILE * width) / 4}; u += ${ROWS}) { ${tile}[u] = ${operand}(${row} + u % ${width / 4}); }`;
  }

  tile(name: string, width: number): void {
    this.pass.shader.define(`var<workgroup> ${name}: array<vec4f, ${(TILE * width) / 4}>;`);
  }

  /** Opens a pass with one thread per row: names `row` (clamped), `head` and `batch`. */
  rows(count: number, heads: number): { open: string; groups: number } {
    const blocks = Math.ceil(count / ROWS);
    const open = `  let block = i32(group % u32(${this.int(blocks)})) * ${ROWS};
  let above = i32(group / u32(${this.int(blocks)}));
  let head = above % ${this.int(heads)};
  let batch = above / ${this.int(heads)};
  if (batch >= ${this.int(this.sizes.B)}) { return; }
  let own = block + i32(lid);
  let live = own < ${this.int(count)};
  let at = min(own, ${this.int(count - 1)});
  let row = above * ${this.int(count)} + at;`;
    return { open, groups: blocks * heads * this.sizes.B };
  }
}

const dotOf = (a: string, b: string, bound: string): string =>
  `var product = vec4f(); for (var d = 0; d < ${bound}; d++) { product = fma(${a}, ${b}, product); }`;

/** y and lse. */
export const attentionWebGpu: WebGpuKernel = (context) => {
  const self = new AttentionPass(context, []);
  const { pass, sizes } = self;
  const { H, G, N, M, D, E } = sizes;
  const [D4, E4] = [D / 4, E / 4];
  self.bind("y", { output: 0 }, context.outputs[0]!, true);
  self.bind("lse", { output: 1 }, context.outputs[1]!, false);
  self.tile("keys", D);
  self.tile("values", E);
  const { open, groups } = self.rows(N, H);
  const body = `${open}
  let shared_head = head / ${self.int(H / G)};
  var query: array<vec4f, ${D4}>;
  var sum: array<vec4f, ${E4}>;
  let own_query = q_at(batch, head, at);
  for (var d = 0; d < ${self.bound(D4)}; d++) { query[d] = q(own_query + d); }
  var greatest = ${HIDDEN};
  var total = 0.0;
  let end = end_for(batch, min(block + ${ROWS - 1}, ${self.int(N - 1)}));
  for (var m0 = 0; m0 < end; m0 += ${TILE}) {
    ${self.stage("keys", "k", D, "shared_head", "m0", M)}
    ${self.stage("values", "v", E, "shared_head", "m0", M)}
    workgroupBarrier();
    let count = min(${TILE}, end - m0);
    var scores: array<f32, ${TILE}>;
    var most = greatest;
    for (var j = 0; j < count; j++) {
      ${dotOf("query[d]", `keys[j * ${D4} + d]`, self.bound(D4))}
      let s = finish(batch, head, at, m0 + j, dot(product, vec4f(1.0)));
      scores[j] = s;
      most = max(most, s);
    }
    let shrink = exp(greatest - most);
    total *= shrink;
    for (var d = 0; d < ${self.bound(E4)}; d++) { sum[d] *= shrink; }
    greatest = most;
    for (var j = 0; j < count; j++) {
      let p = select(exp(scores[j] - most), 0.0, scores[j] <= ${HIDDEN});
      total += p;
      for (var d = 0; d < ${self.bound(E4)}; d++) { sum[d] = fma(vec4f(p), values[j * ${E4} + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (live) {
    let share = select(0.0, 1.0 / total, total > 0.0);
    for (var d = 0; d < ${self.bound(E4)}; d++) {
      let out = sum[d] * share;
      ${pass.putVector("y", `y_at(batch, head, at) + d`, "out")}
    }
    ${pass.put("lse", "row", `select(${HIDDEN}, greatest + log(total), total > 0.0)`)}
  }`;
  return { passes: [pass.finish("attention", ROWS, groups, body, pairWork(sizes, 1, 1))] };
};

/** Gradients: each thread owns a row of its result, so nothing is added across threads and sums are reproducible. */
export const attentionBackwardWebGpu: WebGpuKernel = (context) => {
  const passes = [queryGradient(context), keyGradients(context)];
  if (context.attributes.bias) passes.push(biasGradient(context));
  const { B, H, N } = sizesOf(context.inputs);
  return { passes, scratch: [B * H * N] };
};

/** p and ds of one pair, from `product` (of query and key) and `gain` (of dy and value). */
const pairTerms = (n: string, m: string, row: string, pass: Pass, delta = pass.get("delta", row)): string =>
  `let s = finish(batch, head, ${n}, ${m}, dot(product, vec4f(1.0)));
      let p = select(exp(s - ${pass.get("lse", row)}), 0.0, s <= ${HIDDEN});
      let ds = p * (dot(gain, vec4f(1.0)) - ${delta})`;

function queryGradient(context: WebGpuKernelContext): WebGpuPass {
  const self = new AttentionPass(context, ["lse", "y", "dy", "dlse"]);
  const { pass, sizes } = self;
  const { H, G, N, M, D, E } = sizes;
  const [D4, E4] = [D / 4, E / 4];
  self.bindDelta(true);
  self.bind("dq", { output: 0 }, context.outputs[0]!, true);
  self.tile("keys", D);
  self.tile("values", E);
  const scale = pass.shader.float(context.attributes.scale as number);
  const { open, groups } = self.rows(N, H);
  const body = `${open}
  let shared_head = head / ${self.int(H / G)};
  var query: array<vec4f, ${D4}>;
  var sum: array<vec4f, ${D4}>;
  var above_row: array<vec4f, ${E4}>;
  let own_query = q_at(batch, head, at);
  for (var d = 0; d < ${self.bound(D4)}; d++) { query[d] = q(own_query + d); }
  let own_dy = dy_at(batch, head, at);
  let own_y = y_at(batch, head, at);
  var both = vec4f();
  for (var d = 0; d < ${self.bound(E4)}; d++) { above_row[d] = dy(own_dy + d); both = fma(above_row[d], y(own_y + d), both); }
  let own_delta = dot(both, vec4f(1.0))${self.names.has("dlse") ? ` - ${pass.get("dlse", "row")}` : ""};
  let end = end_for(batch, min(block + ${ROWS - 1}, ${self.int(N - 1)}));
  for (var m0 = 0; m0 < end; m0 += ${TILE}) {
    ${self.stage("keys", "k", D, "shared_head", "m0", M)}
    ${self.stage("values", "v", E, "shared_head", "m0", M)}
    workgroupBarrier();
    let count = min(${TILE}, end - m0);
    for (var j = 0; j < count; j++) {
      ${dotOf("query[d]", `keys[j * ${D4} + d]`, self.bound(D4))}
      var gain = vec4f(); for (var d = 0; d < ${self.bound(E4)}; d++) { gain = fma(above_row[d], values[j * ${E4} + d], gain); }
      ${pairTerms("at", "m0 + j", "row", pass, "own_delta")} * ${scale};
      for (var d = 0; d < ${self.bound(D4)}; d++) { sum[d] = fma(vec4f(ds), keys[j * ${D4} + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (live) {
    ${pass.put("delta", "row", "own_delta")}
    for (var d = 0; d < ${self.bound(D4)}; d++) {
      let out = sum[d];
      ${pass.putVector("dq", `dq_at(batch, head, at) + d`, "out")}
    }
  }`;
  return pass.finish("attention dq", ROWS, groups, body, pairWork(sizes, 2, 1));
}

function keyGradients(context: WebGpuKernelContext): WebGpuPass {
  const self = new AttentionPass(context, ["lse", "dy"]);
  const { pass, sizes } = self;
  const { H, G, N, M, D, E } = sizes;
  const [D4, E4] = [D / 4, E / 4];
  self.bindDelta(false);
  self.bind("dk", { output: 1 }, context.outputs[1]!, true);
  self.bind("dv", { output: 2 }, context.outputs[2]!, true);
  self.tile("queries", D);
  self.tile("above_rows", E);
  const scale = pass.shader.float(context.attributes.scale as number);
  const { open, groups } = self.rows(M, G);
  const body = `${open.replace("let head =", "let shared_head =")}
  var key: array<vec4f, ${D4}>;
  var value: array<vec4f, ${E4}>;
  var key_sum: array<vec4f, ${D4}>;
  var value_sum: array<vec4f, ${E4}>;
  let own_key = k_at(batch, shared_head, at);
  let own_value = v_at(batch, shared_head, at);
  for (var d = 0; d < ${self.bound(D4)}; d++) { key[d] = k(own_key + d); }
  for (var d = 0; d < ${self.bound(E4)}; d++) { value[d] = v(own_value + d); }
  let start = (first_for(batch, block) / ${TILE}) * ${TILE};
  for (var r = 0; r < ${self.int(H / G)}; r++) {
    let head = shared_head * ${self.int(H / G)} + r;
    let first = (batch * ${self.int(H)} + head) * ${self.int(N)};
    for (var n0 = start; n0 < ${self.int(N)}; n0 += ${TILE}) {
      ${self.stage("queries", "q", D, "head", "n0", N)}
      ${self.stage("above_rows", "dy", E, "head", "n0", N)}
      workgroupBarrier();
      let count = min(${TILE}, ${self.int(N)} - n0);
      for (var j = 0; j < count; j++) {
      ${dotOf("key[d]", `queries[j * ${D4} + d]`, self.bound(D4))}
      var gain = vec4f(); for (var d = 0; d < ${self.bound(E4)}; d++) { gain = fma(above_rows[j * ${E4} + d], value[d], gain); }
      ${pairTerms("n0 + j", "at", "first + n0 + j", pass)} * ${scale};
      for (var d = 0; d < ${self.bound(E4)}; d++) { value_sum[d] = fma(vec4f(p), above_rows[j * ${E4} + d], value_sum[d]); }
      for (var d = 0; d < ${self.bound(D4)}; d++) { key_sum[d] = fma(vec4f(ds), queries[j * ${D4} + d], key_sum[d]); }
      }
      workgroupBarrier();
    }
  }
  if (live) {
    for (var d = 0; d < ${self.bound(D4)}; d++) {
      let out = key_sum[d];
      ${pass.putVector("dk", `dk_at(batch, shared_head, at) + d`, "out")}
    }
    for (var d = 0; d < ${self.bound(E4)}; d++) {
      let out = value_sum[d];
      ${pass.putVector("dv", `dv_at(batch, shared_head, at) + d`, "out")}
    }
  }`;
  return pass.finish("attention dk dv", ROWS, groups, body, pairWork(sizes, 2, 2));
}

/** A thread computes one element of the bias's gradient, summing over the axes along which the bias was shared. */
function biasGradient(context: WebGpuKernelContext): WebGpuPass {
  const self = new AttentionPass(context, ["lse", "dy"]);
  const { pass, sizes } = self;
  const { B, H, G, N, M, D, E } = sizes;
  const spec = context.outputs[3]!;
  self.bindDelta(false);
  self.bind("dbias", { output: 3 }, spec, false);
  const [b, h, n, m] = spec.shape as [number, number, number, number];
  const total = b * h * n * m;
  const loop = (name: string, own: number, full: number, value: string, inside: string): string =>
    own === 1 && full > 1
      ? `for (var ${name} = 0; ${name} < ${self.int(full)}; ${name}++) {\n${inside}\n}`
      : `{ let ${name} = ${value};\n${inside}\n}`;
  const pair = `let row = (batch * ${self.int(H)} + head) * ${self.int(N)} + n;
      let own_query = q_at(batch, head, n);
      let own_dy = dy_at(batch, head, n);
      let own_key = k_at(batch, head / ${self.int(H / G)}, m);
      let own_value = v_at(batch, head / ${self.int(H / G)}, m);
      ${dotOf("q(own_query + d)", "k(own_key + d)", self.bound(D / 4))}
      var gain = vec4f(); for (var d = 0; d < ${self.bound(E / 4)}; d++) { gain = fma(dy(own_dy + d), v(own_value + d), gain); }
      ${pairTerms("n", "m", "row", pass)};
      sum += ds;`;
  const index = [
    `let im = at % ${self.int(m)};`,
    `let i_n = (at / ${self.int(m)}) % ${self.int(n)};`,
    `let ih = (at / ${self.int(m * n)}) % ${self.int(h)};`,
    `let ib = at / ${self.int(m * n * h)};`,
  ].join("\n  ");
  const loops = loop(
    "batch",
    b,
    B,
    "ib",
    loop("head", h, H, "ih", loop("n", n, N, "i_n", loop("m", m, M, "im", pair))),
  );
  const body = `  let at = i32(group) * ${ROWS} + i32(lid);
  if (at >= ${self.int(total)}) { return; }
  ${index}
  var sum = 0.0;
  ${loops}
  ${pass.put("dbias", "at", "sum")}`;
  return pass.finish("attention dbias", ROWS, Math.ceil(total / ROWS), body, pairWork(sizes, 1, 1));
}
