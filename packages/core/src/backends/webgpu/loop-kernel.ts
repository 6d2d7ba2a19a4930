/**
 * Loop kernels as WGSL. A workgroup is TX × TY threads: x walks outer indices, y shares the inner ones of each, and
 * meets in workgroup memory after every reduction. An elementwise map is TY = 1; a softmax over long rows is TX = 1.
 */
import { computeType } from "../../dtype.ts";
import type { Expr } from "../../ir/expr.ts";
import type { BufferSpec, LoopKernel, Stage } from "../../ir/kernel.ts";
import { type Linear, strideOf } from "../../ir/linear.ts";
import { sizeOf } from "../../shape.ts";
import type { RenderedPass } from "./rendered.ts";
import { Body, indented, Shader, wgslLiteral } from "./wgsl-values.ts";

type Reduce = Extract<Stage, { kind: "reduce" }>;

/** Renders a loop kernel; null when there is nothing to do. */
export function renderLoop(kernel: LoopKernel, specs: readonly BufferSpec[]): RenderedPass | null {
  const rows = sizeOf(kernel.outer);
  const inner = sizeOf(kernel.inner);
  if (rows === 0) return null;
  const reduces = kernel.stages.some((stage) => stage.kind === "reduce");
  const perElement = kernel.stages.some((stage) => stage.kind === "store" && stage.level === "inner");
  const [tx, ty] = workgroup(kernel, rows, reduces || perElement ? inner : 1);
  const shader = new Shader(specs);
  const groups = Math.ceil(rows / tx);
  const lines: string[] = [
    `let row = (i32(group.x) + i32(group.y) * ${Math.min(groups, 65535)}) * ${tx} + i32(local) % ${tx};`,
    `let slice = i32(local) / ${tx};`,
    `let inside = row < ${rows};`,
    ...unflattened("row", kernel.outer, 0),
  ];
  const shared: string[] = [];
  for (const pass of passes(kernel.stages)) {
    if (pass[0]!.kind === "reduce") {
      const stages = pass as readonly { kind: "reduce"; at: number; stage: Reduce }[];
      const body = new Body(shader, `r${stages[0]!.at}_`);
      const updates: string[] = [];
      for (const { at, stage } of stages) {
        const type = computeType(stage.dtype);
        lines.push(`var s${at} = ${wgslLiteral(stage.op.identity(stage.dtype), type)};`);
        const value = body.value(stage.value);
        updates.push(`s${at} = ${combine(stage, `s${at}`, value)};`);
      }
      lines.push(...innerLoop(kernel, inner, ty, [...body.lines, ...updates]));
      if (ty > 1) {
        for (const { at, stage } of stages) {
          const type = computeType(stage.dtype) === "bool" ? "u32" : computeType(stage.dtype);
          shared.push(`var<workgroup> w${at}: array<${type}, ${tx * ty}>;`);
          lines.push(`w${at}[local] = s${at};`);
        }
        lines.push("workgroupBarrier();");
        for (let half = ty / 2; half >= 1; half /= 2) {
          lines.push(`if (slice < ${half}) {`);
          for (const { at, stage } of stages) {
            lines.push(`  w${at}[local] = ${combine(stage, `w${at}[local]`, `w${at}[local + ${half * tx}u]`)};`);
          }
          lines.push("}", "workgroupBarrier();");
        }
        for (const { at } of stages) lines.push(`s${at} = w${at}[local % ${tx}u];`);
        lines.push("workgroupBarrier();");
      }
      continue;
    }
    const stores = pass.map(({ stage }) => stage as Extract<Stage, { kind: "store" }>);
    const level = stores[0]!.level;
    const body = new Body(shader, "t");
    for (const { buffer, index, value } of stores) body.store(buffer, index, value);
    if (level === "outer") {
      lines.push(`if (inside${ty > 1 ? " && slice == 0" : ""}) {`, indented(body.lines), "}");
    } else lines.push("if (inside) {", indented(innerLoop(kernel, inner, ty, body.lines)), "}");
  }
  const source = shader.text(
    [
      ...shared,
      `@compute @workgroup_size(${tx * ty})`,
      "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {",
      indented(lines),
      "}",
    ].join("\n"),
  );
  const x = Math.min(groups, 65535);
  return { name: kernel.name, source, bindings: shader.bindings, workgroups: [x, Math.ceil(groups / x), 1] };
}

function combine({ op, dtype }: Reduce, a: string, b: string): string {
  const type = computeType(dtype);
  return op.combine.wgsl([a, b], [type, type], type);
}

/** Reductions that do not need each other's results share one walk; so do stores of one level. */
function passes(stages: readonly Stage[]): { kind: Stage["kind"]; at: number; stage: Stage }[][] {
  const result: { kind: Stage["kind"]; at: number; stage: Stage }[][] = [];
  for (const [at, stage] of stages.entries()) {
    const last = result.at(-1);
    const fits =
      last?.[0]?.kind === stage.kind &&
      (stage.kind === "reduce"
        ? !last!.some((other) => readsStage(stage.value, other.at))
        : (last![0]!.stage as { level?: string }).level === stage.level);
    if (fits) last!.push({ kind: stage.kind, at, stage });
    else result.push([{ kind: stage.kind, at, stage }]);
  }
  return result;
}

function readsStage(expr: Expr, stage: number, seen = new Set<Expr>()): boolean {
  if (seen.has(expr)) return false;
  seen.add(expr);
  if (expr.kind === "stage") return expr.stage === stage;
  if (expr.kind === "apply") return expr.args.some((arg) => readsStage(arg, stage, seen));
  return expr.kind === "guard" && readsStage(expr.value, stage, seen);
}

function innerLoop(kernel: LoopKernel, inner: number, ty: number, body: readonly string[]): string[] {
  return [
    `for (var j = slice; j < ${inner}; j += ${ty}) {`,
    indented([...unflattened("j", kernel.inner, kernel.outer.length), ...body]),
    "}",
  ];
}

/** Loop variables from a flat position. */
function unflattened(position: string, sizes: readonly number[], first: number): string[] {
  return sizes.map((size, i) => {
    const stride = sizeOf(sizes.slice(i + 1));
    const quotient = stride === 1 ? position : `(${position} / ${stride})`;
    return `let v${first + i} = ${i === 0 ? quotient : `${quotient} % ${size}`};`;
  });
}

/** How many outer indices a workgroup takes, and how many threads share each one's inner indices (powers of two). */
function workgroup(kernel: LoopKernel, rows: number, inner: number): [number, number] {
  if (inner <= 1) return [64, 1];
  const lastOuter = kernel.outer.length - 1;
  const lastInner = kernel.outer.length + kernel.inner.length - 1;
  let along = 0;
  let across = 0;
  for (const index of loadIndices(kernel)) {
    if (strideOf(index, lastInner) === 1) along++;
    if (lastOuter >= 0 && strideOf(index, lastOuter) === 1) across++;
  }
  // Neighbouring threads read neighbouring elements: along the row, or along the columns of a sum over rows.
  if (across > along) {
    const slices = Math.min(powerOfTwo(inner / 4), rows >= 16384 ? 1 : 8);
    return [rows >= 16384 ? 64 : 32, Math.max(1, slices)];
  }
  if (inner <= 8) return [64, 1];
  if (inner <= 32) return [16, 4];
  const threads = Math.min(256, Math.max(32, powerOfTwo(inner / 4)));
  return [1, threads];
}

const powerOfTwo = (x: number): number => 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, x))));

function loadIndices(kernel: LoopKernel): Linear[] {
  const found: Linear[] = [];
  const seen = new Set<Expr>();
  const visit = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "load") found.push(expr.index);
    else if (expr.kind === "guard") visit(expr.value);
    else if (expr.kind === "apply") for (const arg of expr.args) visit(arg);
  };
  for (const stage of kernel.stages) visit(stage.value);
  return found;
}
