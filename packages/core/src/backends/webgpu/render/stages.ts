/**
 * Few long rows with reductions that need each other (a variance, a softmax): one kernel for each step, so that every
 * step can be spread over the whole device.
 */
import { computeType } from "../../../dtype.ts";
import { stagesOf, stagesOfIndex } from "../../../ir/dependence.ts";
import { type Expr, ExprBuilder } from "../../../ir/expr.ts";
import type { BufferSpec, LoopKernel, Stage } from "../../../ir/kernel.ts";
import { add, axis, constant, type Linear, scale } from "../../../ir/linear.ts";
import { product } from "./grid.ts";

/** Adds a temporary of the plan; gives its number. */
export type AddBuffer = (spec: BufferSpec) => number;

type Reduce = Stage & { kind: "reduce" };

/**
 * Kernels that together do what this one does: the reductions that can run at once, those that need their results, …,
 * and a map that stores the elements of rows. Null where an address depends on a reduction.
 */
export function cutSteps(kernel: LoopKernel, addBuffer: AddBuffer): LoopKernel[] | null {
  const { outer, inner } = kernel;
  const reduces = kernel.stages.filter((stage): stage is Reduce => stage.kind === "reduce");
  const stores = kernel.stages.filter((stage) => stage.kind === "store");
  if (!kernel.stages.every((stage) => isFree(stage.value) && (stage.kind === "reduce" || !stagesOfIndex(stage.index))))
    return null;
  const levels: number[] = [];
  for (const { value } of reduces)
    levels.push(1 + Math.max(-1, ...levels.filter((_, i) => stagesOf(value) & (1 << i))));
  const rows = product(outer);
  const row: Linear = outer.reduce((sum, n, i) => add(scale(sum, n), axis(i, n)), constant(0));
  // Keys unlike those of the kernel's own builder: parts without stages stay as they are.
  const build = new ExprBuilder("cut");
  const results = reduces.map(({ dtype }) =>
    addBuffer({ dtype: computeType(dtype), size: rows, role: "temporary", position: -1 }),
  );
  const loadResult = (stage: number): Expr => build.load(results[stage]!, row, computeType(reduces[stage]!.dtype));
  const written = (level: "outer" | "inner", of: (stage: number) => Expr): Stage[] =>
    stores
      .filter((store) => store.level === level)
      .map((store) => ({ ...store, level: "outer", value: replaceStages(build, store.value, of) }));
  const map = written("inner", loadResult);
  const last = Math.max(...levels);
  const kernels = Array.from({ length: last + 1 }, (_, level): LoopKernel => {
    const own = reduces.map((_, i) => i).filter((i) => levels[i] === level);
    const stages = own.map(
      (i): Stage => ({ ...reduces[i]!, value: replaceStages(build, reduces[i]!.value, loadResult) }),
    );
    const result = (i: number): Expr => build.stage(own.indexOf(i), computeType(reduces[i]!.dtype));
    if (level < last || map.length > 0) {
      for (const i of own)
        stages.push({ kind: "store", level: "outer", buffer: results[i]!, index: row, value: result(i) });
    }
    if (level === last) stages.push(...written("outer", (i) => (own.includes(i) ? result(i) : loadResult(i))));
    return { kind: "loop", name: `${kernel.name} (step ${level + 1})`, outer, inner, stages };
  });
  if (map.length > 0) {
    kernels.push({
      kind: "loop",
      name: `${kernel.name} (stores)`,
      outer: [...outer, ...inner],
      inner: [],
      stages: map,
    });
  }
  return kernels;
}

/** Whether no address in a value depends on a reduction. */
function isFree(expr: Expr): boolean {
  if (stagesOf(expr) === 0) return true;
  if (expr.kind === "load" || expr.kind === "index") return false;
  if (expr.kind === "guard") return isFree(expr.value) && expr.conditions.every(({ index }) => !stagesOfIndex(index));
  return expr.kind !== "apply" || expr.args.every(isFree);
}

/** The value with the results of reductions taken from elsewhere. */
function replaceStages(build: ExprBuilder, root: Expr, of: (stage: number) => Expr): Expr {
  const memo = new Map<Expr, Expr>();
  const visit = (expr: Expr): Expr => {
    if (stagesOf(expr) === 0) return expr;
    let made = memo.get(expr);
    if (made) return made;
    if (expr.kind === "stage") made = of(expr.stage);
    else if (expr.kind === "guard") made = build.guard(expr.conditions, visit(expr.value), expr.otherwise);
    else if (expr.kind === "apply") made = build.apply(expr.op, expr.args.map(visit), expr.dtype);
    else made = expr;
    memo.set(expr, made);
    return made;
  };
  return visit(root);
}
