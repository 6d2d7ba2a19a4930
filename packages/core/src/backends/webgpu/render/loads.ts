import type { Expr } from "../../../ir/expr.ts";
import type { LoopKernel } from "../../../ir/kernel.ts";
import type { Linear } from "../../../ir/linear.ts";

/** The distinct loads of a kernel's values (those inside indices left out). */
export function loadsOf(kernel: LoopKernel): { buffer: number; index: Linear }[] {
  const found: { buffer: number; index: Linear }[] = [];
  const seen = new Set<Expr>();
  const visit = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "load") found.push(expr);
    else if (expr.kind === "apply") expr.args.forEach(visit);
    else if (expr.kind === "guard") visit(expr.value);
  };
  for (const stage of kernel.stages) visit(stage.value);
  return found;
}
