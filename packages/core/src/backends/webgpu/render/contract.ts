/** Matrix products: tiles staged in workgroup memory, several outputs per thread in registers, fused stores. */
import { type ComputeType, computeType } from "../../../dtype.ts";
import { type Expr, ExprBuilder } from "../../../ir/expr.ts";
import type { BufferSpec, ContractKernel, LoopKernel } from "../../../ir/kernel.ts";
import { add, axis, flatten, scale } from "../../../ir/linear.ts";
import type { ReduceOp } from "../../../op.ts";
import { addOp, mulOp } from "../../../ops/arithmetic.ts";
import { AccessMap } from "./access.ts";
import { Body } from "./body.ts";
import { indent, mainHead, product } from "./grid.ts";
import { renderLoop } from "./loop.ts";
import { type Rendered, Shader, wgslType } from "./shader.ts";
import type { AddBuffer } from "./stages.ts";
import { isRun, SCALAR, stepOf, type VectorAxis } from "./steps.ts";
import type { Target } from "./target.ts";
import { chooseParts, chooseTile, type Tile } from "./tiles.ts";

const sum: ReduceOp = { kind: "reduce", name: "sum", combine: addOp, identity: () => 0 };

/** Fewer rows, columns or terms than this: a reduction kernel does it without tiles. */
const SKINNY = 5;
/** Multiply-adds up to which a CPU spends more time on compiling tiles than it ever gets back. */
const SMALL_WORK = 2 ** 18;
const PART_AXIS = 4;

export function renderContract(
  kernel: ContractKernel,
  buffers: readonly BufferSpec[],
  target: Target,
  addBuffer: AddBuffer,
): Rendered[] {
  const { name, batch, rows, columns, sum: terms, stores } = kernel;
  if (batch * rows * columns === 0) return [];
  const outer = [batch, rows, columns];
  const small = target.software && product(outer) * terms <= SMALL_WORK;
  if (small || Math.min(rows, columns, terms) < SKINNY) {
    const value = new ExprBuilder().apply(mulOp, [kernel.a, kernel.b], kernel.dtype);
    // A key of its own: the operands' keys come from another builder.
    const stage = { kind: "reduce" as const, op: sum, value: { ...value, key: "product" }, dtype: wideOf(kernel) };
    const written = stores.map((store) => ({ kind: "store" as const, level: "outer" as const, ...store }));
    const loop: LoopKernel = { kind: "loop", name, outer, inner: [terms], stages: [stage, ...written] };
    return renderLoop(loop, buffers, target, addBuffer);
  }
  const tile = chooseTile(kernel, target.big);
  const parts = chooseParts(kernel);
  if (parts === 1) return [new ContractRenderer(kernel, buffers, target, tile, 1).render()];
  const size = product(outer);
  const partial = addBuffer({ dtype: wideOf(kernel), size: parts * size, role: "temporary", position: -1 });
  const position = flatten(
    outer.map((n, i) => axis(i, n)),
    outer,
  );
  const build = new ExprBuilder();
  const store = {
    buffer: partial,
    index: add(scale(axis(PART_AXIS, parts), size), position),
    value: build.stage(0, wideOf(kernel)),
  };
  const value = build.load(partial, add(scale(axis(3, parts), size), position), wideOf(kernel));
  const second: LoopKernel = {
    kind: "loop",
    name: `${name} (joined)`,
    outer,
    inner: [parts],
    stages: [
      { kind: "reduce", op: sum, value: { ...value, key: "part" }, dtype: wideOf(kernel) },
      ...stores.map((each) => ({ kind: "store" as const, level: "outer" as const, ...each })),
    ],
  };
  const first = { ...kernel, stores: [store] };
  const cut = [
    new ContractRenderer(first, buffers, target, tile, parts).render(),
    ...renderLoop(second, buffers, target, addBuffer),
  ];
  // The partial sums need room among the bindings too.
  if (cut.every(({ bindings }) => bindings.length <= target.maxBuffers)) return cut;
  return [new ContractRenderer(kernel, buffers, target, tile, 1).render()];
}

const wideOf = (kernel: ContractKernel): ComputeType => computeType(kernel.dtype);

/** How an operand comes into its tile: vectors along the sum, vectors along its own axis, or single elements. */
type Loader = { own: number; along: "sum" | "own" | "none"; vector: VectorAxis; size: number };

class ContractRenderer {
  private readonly kernel: ContractKernel;
  private readonly tile: Tile;
  private readonly parts: number;
  private readonly shader: Shader;
  private readonly target: Target;
  private readonly type: string;
  /** Element type of the tiles in workgroup memory. */
  private readonly tileType: string;
  /** The axis that runs fastest in the stores is the tile's column, whichever operand it comes from. */
  private readonly rowAxis: number;
  private readonly columnAxis: number;
  private readonly rows: number;
  private readonly columns: number;
  private readonly a: Loader;
  private readonly b: Loader;
  private readonly out: VectorAxis;

  constructor(kernel: ContractKernel, buffers: readonly BufferSpec[], target: Target, tile: Tile, parts: number) {
    this.kernel = kernel;
    this.tile = tile;
    this.parts = parts;
    this.target = target;
    this.shader = new Shader(target.maxBinding);
    this.type = wgslType[computeType(kernel.dtype)];
    const half = target.f16 && kernel.a.dtype === "f16" && kernel.b.dtype === "f16";
    this.tileType = half ? "f16" : this.type;
    if (half) this.shader.enable("f16");
    const stepsAlong = (id: number): boolean =>
      kernel.stores.every(({ index }) => stepOf(index, { axis: id, lanes: 1 }) === 1);
    const swap = !stepsAlong(2) && stepsAlong(1);
    this.rowAxis = swap ? 2 : 1;
    this.columnAxis = swap ? 1 : 2;
    this.rows = swap ? kernel.columns : kernel.rows;
    this.columns = swap ? kernel.rows : kernel.columns;
    const access = new AccessMap(buffers);
    this.a = this.loader(swap ? kernel.b : kernel.a, this.rowAxis, this.rows);
    this.b = this.loader(swap ? kernel.a : kernel.b, this.columnAxis, this.columns);
    access.value(swap ? kernel.b : kernel.a, this.a.vector);
    access.value(swap ? kernel.a : kernel.b, this.b.vector);
    const out = { axis: this.columnAxis, lanes: 4 };
    this.out = this.columns % 4 === 0 && kernel.stores.every(({ index }) => isRun(index, out)) ? out : SCALAR;
    for (const store of kernel.stores) access.store(store, this.out);
    access.declare(this.shader);
  }

  private loader(operand: Expr, own: number, size: number): Loader {
    const bySum = { axis: 3, lanes: 4 };
    const byOwn = { axis: own, lanes: 4 };
    if (this.kernel.sum % 4 === 0 && loadsRun(operand, bySum)) return { own, along: "sum", vector: bySum, size };
    if (size % 4 === 0 && loadsRun(operand, byOwn)) return { own, along: "own", vector: byOwn, size };
    return { own, along: "none", vector: SCALAR, size };
  }

  private load(name: string, operand: Expr, { own, along, vector, size }: Loader): void {
    const { shader, type } = this;
    const lanes = vector.lanes;
    const result = lanes > 1 ? `vec4<${type}>` : type;
    const axes = new Map([
      [0, "z"],
      [own, "f"],
      [3, "k"],
    ]);
    const body = new Body({ shader, axes, vector });
    const values = Array.from({ length: lanes }, (_, lane) => body.value(operand, lane));
    const last = shader.integer(along === "own" ? size - 4 : size - 1);
    const lines = [`let f = min(own, ${last});`];
    if (this.masked) lines.unshift(`if (k >= ${shader.integer(this.kernel.sum)}) { return ${result}(); }`);
    lines.push(...body.lines, `return ${lanes > 1 ? `${result}(${values.join(", ")})` : values[0]};`);
    shader.define(`fn load_${name}(z: i32, own: i32, k: i32) -> ${result} {\n${indent(lines, 2)}\n}`);
  }

  /** Whether a tile may reach beyond the end of the sum. */
  private get masked(): boolean {
    return this.kernel.sum % this.tile.bk !== 0;
  }

  /** Statements that bring one operand's tile into workgroup memory, transposed so that its own axis runs fastest. */
  private stage(name: string, { along }: Loader, width: number, origin: string): string[] {
    const { bk } = this.tile;
    const threads = this.threads;
    const { type } = this;
    const quarter = width / 4;
    const units = along === "sum" ? (quarter * bk) / 4 : quarter * bk;
    const lines: string[] = [];
    if (along === "sum") {
      lines.push(
        `let kq = u % ${bk / 4}; let fq = u / ${bk / 4};`,
        ...[0, 1, 2, 3].map((i) => `let r${i} = load_${name}(z, ${origin} + fq * 4 + ${i}, k0 + kq * 4);`),
        ...[0, 1, 2, 3].map((i) => {
          const c = "xyzw"[i];
          const value = `vec4<${type}>(r0.${c}, r1.${c}, r2.${c}, r3.${c})`;
          return `tile_${name}[(kq * 4 + ${i}) * ${quarter} + fq] = ${this.converted(value, this.tileType)};`;
        }),
      );
    } else {
      lines.push(`let kk = k0 + u / ${quarter}; let f = ${origin} + (u % ${quarter}) * 4;`);
      const loads = [0, 1, 2, 3].map((i) => `load_${name}(z, f + ${i}, kk)`);
      const value = along === "own" ? `load_${name}(z, f, kk)` : `vec4<${type}>(${loads.join(", ")})`;
      lines.push(`tile_${name}[u] = ${this.converted(value, this.tileType)};`);
    }
    if (units === threads) return ["{", indent(["let u = i32(lid);", ...lines], 2), "}"];
    return [`for (var u = i32(lid); u < ${this.bound(units)}; u += ${threads}) {`, indent(lines, 2), "}"];
  }

  /** A vector between the types of tiles and of sums. */
  private converted(vector: string, type: string): string {
    return this.tileType === this.type ? vector : `vec4<${type}>(${vector})`;
  }

  /** A loop bound; compilers for CPUs take seconds over loops that they unroll, so there they must not know it. */
  private bound(n: number): string {
    return this.target.software ? this.shader.integer(n) : `${n}`;
  }

  private get threads(): number {
    const { bm, bn, tm, tn } = this.tile;
    return (bm / tm) * (bn / tn);
  }

  render(): Rendered {
    const { shader, kernel, tile, type } = this;
    const { bm, bn, bk, tm, tn } = tile;
    const swap = this.rowAxis === 2;
    this.load("a", swap ? kernel.b : kernel.a, this.a);
    this.load("b", swap ? kernel.a : kernel.b, this.b);
    shader.define(`var<workgroup> tile_a: array<vec4<${this.tileType}>, ${(bk * bm) / 4}>;`);
    shader.define(`var<workgroup> tile_b: array<vec4<${this.tileType}>, ${(bk * bn) / 4}>;`);
    const [across, down] = [bn / tn, bm / tm];
    const [tilesM, tilesN] = [Math.ceil(this.rows / bm), Math.ceil(this.columns / bn)];
    const count = (n: number): string => `u32(${shader.integer(n)})`;
    const head = [
      `let column0 = i32(group % ${count(tilesN)}) * ${bn};`,
      `let row0 = i32((group / ${count(tilesN)}) % ${count(tilesM)}) * ${bm};`,
      `let depth = group / ${count(tilesN * tilesM)};`,
      `if (depth >= ${count(kernel.batch * this.parts)}) { return; }`,
      `let tx = i32(lid) % ${across}; let ty = i32(lid) / ${across};`,
    ];
    let [from, to] = ["0", shader.integer(kernel.sum)];
    if (this.parts === 1) head.push("let z = i32(depth);");
    else {
      // A multiple of every tile's bk.
      const length = shader.integer(Math.ceil(kernel.sum / this.parts / 16) * 16);
      head.push(
        `let z = i32(depth % ${count(kernel.batch)});`,
        `let part = i32(depth / ${count(kernel.batch)});`,
        `let first = part * ${length};`,
        `let last = min(first + ${length}, ${to});`,
      );
      [from, to] = ["first", "last"];
    }
    const [aVectors, bVectors] = [tm / 4, tn / 4];
    const sums = Array.from({ length: tm }, (_, i) => Array.from({ length: bVectors }, (_, j) => `c${i}_${j}`));
    for (const name of sums.flat()) head.push(`var ${name} = vec4<${type}>();`);
    const inner: string[] = [];
    for (let i = 0; i < aVectors; i++)
      inner.push(`let a${i} = ${this.converted(`tile_a[k * ${bm / 4} + ty + ${i * down}]`, type)};`);
    for (let j = 0; j < bVectors; j++)
      inner.push(`let b${j} = ${this.converted(`tile_b[k * ${bn / 4} + tx + ${j * across}]`, type)};`);
    sums.forEach((row, i) => {
      row.forEach((name, j) => {
        inner.push(`${name} += a${i >> 2}.${"xyzw"[i & 3]} * b${j};`);
      });
    });
    const loop = [
      `for (var k0: i32 = ${from}; k0 < ${to}; k0 += ${bk}) {`,
      indent(this.stage("a", this.a, bm, "row0"), 2),
      indent(this.stage("b", this.b, bn, "column0"), 2),
      "  workgroupBarrier();",
      `  for (var k = 0; k < ${this.bound(bk)}; k++) {`,
      indent(inner, 4),
      "  }",
      "  workgroupBarrier();",
      "}",
    ];
    const lines = [...head, ...loop, ...this.epilogue(sums, across, down)];
    const text = `${mainHead(this.threads)}\n${indent(lines, 2)}\n}\n`;
    return shader.finish(kernel.name, text, tilesM * tilesN * kernel.batch * this.parts);
  }

  private epilogue(sums: readonly (readonly string[])[], across: number, down: number): string[] {
    const { shader, out } = this;
    const vectors = sums[0]!.length;
    const axes = new Map([
      [0, "z"],
      [this.rowAxis, "row"],
      [this.columnAxis, "column"],
      [PART_AXIS, "part"],
    ]);
    const stages = (_stage: number, lane: number): string => (out.lanes > 1 ? `c.${"xyzw"[lane]}` : "c");
    const body = new Body({ shader, axes, vector: out, stages, laneStages: true });
    for (const store of this.kernel.stores) body.store(store);
    const columns = shader.integer(this.columns);
    const wide = [`let c = sums[i * ${vectors} + j];`, `if (column < ${columns}) {`, indent(body.lines, 2), "}"];
    const narrow = [
      `for (var lane = 0; lane < ${this.bound(4)}; lane++) {`,
      `  let column = first_column + lane;`,
      `  if (column < ${columns}) {`,
      `    let c = sums[i * ${vectors} + j][lane];`,
      indent(body.lines, 4),
      "  }",
      "}",
    ];
    const name = out.lanes > 1 ? "column" : "first_column";
    return [
      `var sums = array<vec4<${this.type}>, ${sums.length * vectors}>(${sums.flat().join(", ")});`,
      `for (var i = 0; i < ${this.bound(sums.length)}; i++) {`,
      `  let row = row0 + ((i >> 2u) * ${down} + ty) * 4 + (i & 3);`,
      `  if (row < ${shader.integer(this.rows)}) {`,
      `    for (var j = 0; j < ${this.bound(vectors)}; j++) {`,
      `      let ${name} = column0 + (tx + j * ${across}) * 4;`,
      indent(out.lanes > 1 ? wide : narrow, 6),
      "    }",
      "  }",
      "}",
    ];
  }
}

/** Whether some load of an operand is a run of four along the axis, and the others at least agree in all lanes. */
function loadsRun(operand: Expr, vector: VectorAxis): boolean {
  if (operand.kind === "load") return isRun(operand.index, vector);
  if (operand.kind === "guard") return loadsRun(operand.value, vector);
  return operand.kind === "apply" && operand.args.every((arg) => arg.kind === "constant" || loadsRun(arg, vector));
}
