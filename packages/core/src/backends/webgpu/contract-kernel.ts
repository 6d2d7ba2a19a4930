/**
 * Contractions as WGSL: register-tiled products through workgroup memory. Each thread makes an 8 × 8 (or 4 × 4) block of
 * results as vec4 registers; both operands are staged in tiles of BK; the epilogue runs on the registers.
 * An operand is any load at any index: a convolution's windows are staged like a matrix (implicit GEMM).
 */
import { computeType } from "../../dtype.ts";
import type { Expr } from "../../ir/expr.ts";
import type { BufferSpec, ContractKernel } from "../../ir/kernel.ts";
import { strideOf } from "../../ir/linear.ts";
import type { RenderedPass } from "./rendered.ts";
import { Body, indented, Shader } from "./wgsl-values.ts";

type Tile = { rows: number; columns: number; perThread: 4 | 8; depth: number };

const LARGE: Tile = { rows: 64, columns: 64, perThread: 8, depth: 16 };
const SMALL: Tile = { rows: 32, columns: 32, perThread: 4, depth: 16 };

/** Few results leave most of a GPU idle in large tiles. */
function tileFor({ batch, rows, columns }: ContractKernel): Tile {
  const large = batch * Math.ceil(rows / 64) * Math.ceil(columns / 64);
  return rows >= 48 && columns >= 48 && large >= 32 ? LARGE : SMALL;
}

/** Renders a contraction. */
export function renderContract(kernel: ContractKernel, specs: readonly BufferSpec[]): RenderedPass {
  const tile = tileFor(kernel);
  const { rows: BM, columns: BN, perThread: T, depth: BK } = tile;
  const [tx, ty] = [BN / T, BM / T];
  const threads = tx * ty;
  const shader = new Shader(specs);
  const { batch, rows, columns, sum } = kernel;
  const quads = T / 4;
  const accumulators: string[] = [];
  const products: string[] = [];
  for (let i = 0; i < T; i++) {
    for (let h = 0; h < quads; h++) {
      accumulators.push(`var c${i}_${h} = vec4f(0.0);`);
      products.push(`c${i}_${h} = fma(vec4f(a${i >> 2}[${i & 3}]), d${h}, c${i}_${h});`);
    }
  }
  const fetch: string[] = [];
  for (let h = 0; h < quads; h++) {
    fetch.push(`let a${h} = tile_a[k * ${BM / 4} + ${h === 0 ? "thread_y" : `${BM / 8} + thread_y`}];`);
    fetch.push(`let d${h} = tile_b[k * ${BN / 4} + ${h === 0 ? "thread_x" : `${BN / 8} + thread_x`}];`);
  }
  const stageA = stageTile(
    "a",
    kernel.a,
    1,
    { outer: BM, limit: rows, origin: "row0", depth: BK, sum, threads },
    shader,
  );
  const stageB = stageTile(
    "b",
    kernel.b,
    2,
    { outer: BN, limit: columns, origin: "column0", depth: BK, sum, threads },
    shader,
  );
  // One place that writes: the epilogue may be long, and would be compiled as often as it is called.
  // Thread y holds rows 4·y … 4·y + 3, and with eight per thread as many again in the tile's second half; so do columns.
  const order = Array.from({ length: T }, (_, i) => Array.from({ length: quads }, (_, h) => `c${i}_${h}`)).flat();
  const store = [
    `var results = array<vec4f, ${T * quads}>(${order.join(", ")});`,
    `for (var e = 0; e < ${T * T}; e++) {`,
    indented([
      `let i = e / ${T};`,
      `let j = e % ${T};`,
      `let r = row0 + (i / 4) * ${BM / 2} + thread_y * 4 + i % 4;`,
      `let c = column0 + (j / 4) * ${BN / 2} + thread_x * 4 + j % 4;`,
      "write(v0, r, c, results[e / 4][j % 4]);",
    ]),
    "}",
  ];
  const write = new Body(shader, "t");
  write.stageName = () => "acc";
  for (const { buffer, index, value } of kernel.stores) write.store(buffer, index, value);
  const groupsX = Math.ceil(columns / BN);
  const groupsY = Math.ceil(rows / BM);
  const groupsZ = Math.min(batch, 65535);
  const type = computeType(kernel.dtype);
  const source = shader.text(
    [
      `var<workgroup> tile_a: array<vec4f, ${(BM / 4) * BK}>;`,
      `var<workgroup> tile_b: array<vec4f, ${(BN / 4) * BK}>;`,
      ...stageA.functions,
      ...stageB.functions,
      `fn write(v0: i32, v1: i32, v2: i32, sum: f32) {`,
      `  if (v1 >= ${rows} || v2 >= ${columns}) { return; }`,
      `  let acc = ${type === "f32" ? "sum" : `${type}(sum)`};`,
      indented(write.lines),
      "}",
      `@compute @workgroup_size(${threads})`,
      "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local_index: u32) {",
      indented([
        "let local = i32(local_index);",
        `let thread_x = local % ${tx};`,
        `let thread_y = local / ${tx};`,
        `let row0 = i32(group.y) * ${BM};`,
        `let column0 = i32(group.x) * ${BN};`,
        `for (var v0 = i32(group.z); v0 < ${batch}; v0 += ${groupsZ}) {`,
        indented([
          ...accumulators,
          `for (var k0 = 0; k0 < ${sum}; k0 += ${BK}) {`,
          indented([
            ...stageA.lines,
            ...stageB.lines,
            "workgroupBarrier();",
            `for (var k = 0; k < ${BK}; k++) {`,
            indented([...fetch, ...products]),
            "}",
            "workgroupBarrier();",
          ]),
          "}",
          ...store,
        ]),
        "}",
      ]),
      "}",
    ].join("\n"),
  );
  return { name: kernel.name, source, bindings: shader.bindings, workgroups: [groupsX, groupsY, groupsZ] };
}

type Staging = { outer: number; limit: number; origin: string; depth: number; sum: number; threads: number };

/** Code that copies a tile of an operand into workgroup memory, four elements of the outer axis at a time. */
function stageTile(
  name: string,
  operand: Expr,
  axis: 1 | 2,
  s: Staging,
  shader: Shader,
): { functions: string[]; lines: string[] } {
  const body = new Body(shader, "t");
  body.axisName = (id) => (id === 0 ? "v0" : id === 3 ? "k" : "at");
  const value = body.value(operand);
  const functions = [
    `fn load_${name}(v0: i32, at: i32, k: i32) -> f32 {`,
    `  if (at >= ${s.limit} || k >= ${s.sum}) { return 0.0; }`,
    indented(body.lines),
    `  return ${operand.dtype === "f32" || operand.dtype === "f16" || operand.dtype === "bf16" ? value : `f32(${value})`};`,
    "}",
  ];
  // Neighbouring threads read neighbouring elements.
  const alongSum = innermost(operand) === 3;
  const units = (s.outer / 4) * s.depth;
  const [k, quad] = alongSum ? [`u % ${s.depth}`, `u / ${s.depth}`] : [`u / ${s.outer / 4}`, `u % ${s.outer / 4}`];
  const loads = [0, 1, 2, 3].map((e) => `load_${name}(v0, at + ${e}, k0 + k)`).join(", ");
  return {
    functions,
    lines: [
      `for (var u = local; u < ${units}; u += ${s.threads}) {`,
      indented([
        `let k = ${k};`,
        `let quad = ${quad};`,
        `let at = ${s.origin} + quad * 4;`,
        `tile_${name}[k * ${s.outer / 4} + quad] = vec4f(${loads});`,
      ]),
      "}",
    ],
  };

  function innermost(expr: Expr): number {
    if (expr.kind === "load") return strideOf(expr.index, 3) === 1 || strideOf(expr.index, axis) !== 1 ? 3 : axis;
    return expr.kind === "guard" ? innermost(expr.value) : 3;
  }
}
