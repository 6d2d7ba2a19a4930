/** Kernels with reductions: R rows in each workgroup, T threads for each row, the results of stages in shared memory. */
import { computeType } from "../../../dtype.ts";
import { stagesOf } from "../../../ir/dependence.ts";
import type { BufferSpec, LoopKernel, Stage } from "../../../ir/kernel.ts";
import { strideOf } from "../../../ir/linear.ts";
import { AccessMap } from "./access.ts";
import { Body } from "./body.ts";
import { indent, mainHead, powerOfTwo, product, splitPosition } from "./grid.ts";
import { loadsOf } from "./loads.ts";
import { type Rendered, Shader, wgslType } from "./shader.ts";
import { isRun, SCALAR, type VectorAxis } from "./steps.ts";
import type { Target } from "./target.ts";

type ReduceStage = Stage & { kind: "reduce" };
type StoreStage = Stage & { kind: "store" };

/** Rows and threads of a workgroup; `across`: neighbouring threads take neighbouring rows (sums of columns). */
export type Shape = { rows: number; threads: number; across: boolean; vector: VectorAxis };

/** Part s of `parts` of every row; each stage's results are stored at offset + s · rows + row of a buffer. */
export type Split = { parts: number; length: number; results: readonly { buffer: number; offset: number }[] };

const WORKGROUP = 64;
const MOST_THREADS = 256;

export function chooseShape(kernel: LoopKernel, buffers: readonly BufferSpec[], { software }: Target): Shape {
  const rows = product(kernel.outer);
  const length = product(kernel.inner);
  const lastOuter = kernel.outer.findLastIndex((n) => n !== 1);
  const lastInner = kernel.inner.findLastIndex((n) => n !== 1);
  let along = 0;
  let over = 0;
  for (const { buffer, index } of loadsOf(kernel)) {
    const weight = buffers[buffer]!.size;
    if (lastInner >= 0 && strideOf(index, kernel.outer.length + lastInner) === 1) along += weight;
    if (lastOuter >= 0 && strideOf(index, lastOuter) === 1) over += weight;
  }
  if (over > along && rows > 1) {
    const wide = Math.min(WORKGROUP, Math.max(16, powerOfTwo(rows)));
    const threads = length < (software ? 128 : 8) ? 1 : Math.min(MOST_THREADS / wide, powerOfTwo(length / 4));
    return { rows: wide, threads, across: true, vector: SCALAR };
  }
  const wide: VectorAxis = { axis: kernel.outer.length + lastInner, lanes: 4 };
  const usable =
    lastInner >= 0 &&
    kernel.inner[lastInner]! % 4 === 0 &&
    length >= 16 &&
    (loadsOf(kernel).some(({ index }) => isRun(index, wide)) ||
      kernel.stages.some((s) => s.kind === "store" && s.level === "inner" && isRun(s.index, wide)));
  const vector = usable ? wide : SCALAR;
  const steps = length / vector.lanes;
  // A CPU pays for every barrier when compiling, and has few threads anyway.
  const threads = steps < (software ? 64 : 8) ? 1 : Math.min(MOST_THREADS, powerOfTwo(steps / (rows < 1024 ? 2 : 4)));
  return { rows: Math.max(1, WORKGROUP / threads), threads, across: false, vector };
}

export function renderReduce(
  kernel: LoopKernel,
  buffers: readonly BufferSpec[],
  target: Target,
  split: Split | null,
): Rendered {
  const shape = chooseShape(kernel, buffers, target);
  return new ReduceRenderer(kernel, buffers, target, shape, split).render();
}

class ReduceRenderer {
  private readonly kernel: LoopKernel;
  private readonly shape: Shape;
  private readonly split: Split | null;
  private readonly shader: Shader;
  private readonly outer: Body;
  private readonly head: string[] = [];
  private readonly names: string[] = [];
  private readonly shared = new Map<string, string>();
  private readonly rows: number;
  private readonly length: number;

  constructor(kernel: LoopKernel, buffers: readonly BufferSpec[], target: Target, shape: Shape, split: Split | null) {
    this.kernel = kernel;
    this.shape = shape;
    this.split = split;
    this.rows = product(kernel.outer);
    this.length = product(kernel.inner);
    this.shader = new Shader(target.maxBinding);
    const access = new AccessMap(buffers);
    for (const stage of kernel.stages) {
      const inner = stage.kind === "reduce" || stage.level === "inner";
      const vector = inner ? shape.vector : SCALAR;
      if (stage.kind === "reduce") access.value(stage.value, vector);
      else if (!split) access.store(stage, vector);
    }
    access.declare(this.shader);
    for (const buffer of new Set(split?.results.map((result) => result.buffer))) {
      const { dtype, size } = buffers[buffer]!;
      this.shader.declare(buffer, { dtype, bytes: size * 4, access: "scalar", write: true });
    }
    const axes = this.position();
    this.outer = new Body({ shader: this.shader, axes, stages: (stage) => this.names[stage]! });
  }

  /** Which row and which of its elements a thread takes. */
  private position(): Map<number, string> {
    const { rows, threads, across } = this.shape;
    const { head, shader } = this;
    if (across) head.push(`let r = lid % ${rows}u;`, `let t = lid / ${rows}u;`);
    else head.push(`let r = lid / ${threads}u;`, `let t = lid % ${threads}u;`);
    const count = `u32(${shader.integer(this.rows)})`;
    let group = "group";
    if (this.split) {
      const rowGroups = `u32(${shader.integer(Math.ceil(this.rows / rows))})`;
      head.push(`let part = group / ${rowGroups};`, `let rowGroup = group % ${rowGroups};`);
      const length = shader.integer(this.split.length);
      head.push(
        `let first = i32(part) * ${length};`,
        `let last = min(first + ${length}, ${shader.integer(this.length)});`,
      );
      group = "rowGroup";
    }
    head.push(`let row = ${group} * ${rows}u + r;`, `let live = row < ${count};`, `let at = min(row, ${count} - 1u);`);
    return splitPosition(head, "at", this.kernel.outer, 0, null);
  }

  render(): Rendered {
    const { outer, split } = this;
    const lines: string[] = [];
    const flush = (): void => {
      lines.push(...outer.lines.splice(0));
    };
    const reduces: ReduceStage[] = [];
    const finish = (): void => {
      if (reduces.length === 0) return;
      const text = this.reduce(reduces);
      flush();
      lines.push(...text);
      reduces.length = 0;
    };
    let first = 0;
    for (const stage of this.kernel.stages) {
      if (stage.kind === "reduce") {
        // Stages that do not need each other run in one loop.
        if (stagesOf(stage.value) >> first !== 0) {
          finish();
          first = this.names.length;
        }
        reduces.push(stage);
        this.names.push(`s${this.names.length}`);
        continue;
      }
      finish();
      first = this.names.length;
      if (split) continue;
      const text = stage.level === "outer" ? this.outerStore(stage) : this.innerStore(stage);
      flush();
      lines.push(...text);
    }
    finish();
    if (split) lines.push(...this.partialStores(split));
    const { rows, threads } = this.shape;
    for (const [type, name] of this.shared) {
      this.shader.define(`var<workgroup> ${name}: array<${type}, ${rows * threads}>;`);
    }
    const text = `${mainHead(rows * threads)}\n${indent([...this.head, ...lines], 2)}\n}\n`;
    const groups = Math.ceil(this.rows / rows) * (split?.parts ?? 1);
    return this.shader.finish(this.kernel.name, text, groups);
  }

  private innerBody(): { body: Body; open: string; position: string[] } {
    const { threads, vector } = this.shape;
    const step = `${threads * vector.lanes}`;
    const from = this.split ? "first + " : "";
    const to = this.split ? "last" : this.shader.integer(this.length);
    const start = threads === 1 ? (this.split ? "first" : "0") : `${from}i32(t) * ${vector.lanes}`;
    const open = `for (var i: i32 = ${start}; i < ${to}; i += ${step}) {`;
    const position: string[] = [];
    const { inner, outer } = this.kernel;
    const counted = vector.lanes > 1 ? `u32(i) / ${vector.lanes}u` : "u32(i)";
    position.push(`let u = ${counted};`);
    const axes = splitPosition(position, "u", inner, outer.length, vector.lanes > 1 ? vector : null);
    const body = new Body({ shader: this.shader, axes, vector, parent: this.outer });
    return { body, open, position };
  }

  private reduce(stages: readonly ReduceStage[]): string[] {
    const { vector, threads } = this.shape;
    const base = this.names.length - stages.length;
    const before: string[] = [];
    const after: string[] = [];
    const { body, open, position } = this.innerBody();
    stages.forEach(({ op, value, dtype }, i) => {
      const type = computeType(dtype);
      const identity = this.shader.literal(op.identity(dtype), type);
      const { combine } = op;
      if (combine.wgslHelper) this.shader.helper(combine.wgslHelper);
      const join = (a: string, b: string): string => combine.wgsl([a, b], [type, type], type);
      for (let lane = 0; lane < vector.lanes; lane++) {
        const sum = `a${base + i}_${lane}`;
        before.push(`var ${sum}: ${wgslType[type]} = ${identity};`);
        body.lines.push(`${sum} = ${join(sum, body.value(value, lane))};`);
      }
      let total = `a${base + i}_0`;
      for (let lane = 1; lane < vector.lanes; lane++) total = `(${join(total, `a${base + i}_${lane}`)})`;
      if (threads === 1) after.push(`let s${base + i}: ${wgslType[type]} = ${total};`);
      else after.push(...this.acrossThreads(`s${base + i}`, total, wgslType[type], join));
    });
    return [...before, open, indent([...position, ...body.lines], 2), "}", ...after];
  }

  /** A tree over the row's threads: the same order of additions whatever the device. */
  private acrossThreads(name: string, total: string, type: string, join: (a: string, b: string) => string): string[] {
    const { rows, threads, across } = this.shape;
    let shared = this.shared.get(type);
    if (!shared) this.shared.set(type, (shared = `shared_${type}`));
    const stride = across ? rows : 1;
    const lines = [`${shared}[lid] = ${total};`, "workgroupBarrier();"];
    for (let half = threads / 2; half >= 1; half /= 2) {
      const sum = join(`${shared}[lid]`, `${shared}[lid + ${half * stride}u]`);
      lines.push(`if (t < ${half}u) { ${shared}[lid] = ${sum}; }`, "workgroupBarrier();");
    }
    lines.push(`let ${name}: ${type} = ${shared}[${across ? "r" : `r * ${threads}u`}];`, "workgroupBarrier();");
    return lines;
  }

  private outerStore(stage: StoreStage): string[] {
    const body = new Body({ shader: this.shader, axes: new Map(), parent: this.outer });
    body.store(stage);
    const one = this.shape.threads > 1 ? "live && t == 0u" : "live";
    return [`if (${one}) {`, indent(body.lines, 2), "}"];
  }

  private innerStore(stage: StoreStage): string[] {
    const { body, open, position } = this.innerBody();
    body.store(stage);
    const loop = [open, indent([...position, ...body.lines], 2), "}"];
    return this.shape.rows > 1 ? ["if (live) {", indent(loop, 2), "}"] : loop;
  }

  private partialStores({ results }: Split): string[] {
    const index = `i32(part * u32(${this.shader.integer(this.rows)}) + row)`;
    const stores = results.map(({ buffer, offset }, stage) => {
      const at = offset === 0 ? index : `${index} + ${this.shader.integer(offset)}`;
      return this.shader.put(buffer, at, this.names[stage]!);
    });
    return [`if (live${this.shape.threads > 1 ? " && t == 0u" : ""}) {`, indent(stores, 2), "}"];
  }
}
