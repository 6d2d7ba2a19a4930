/** Products as reductions, for shapes on which tiles would be mostly padding. */
import type { Expr } from "../../ir/expr.ts";
import type { ContractKernel, LoopKernel } from "../../ir/kernel.ts";
import type { ElementwiseOp, ReduceOp } from "../../op.ts";

/** Too thin for tiles. */
export const isThin = ({ rows, columns, sum }: ContractKernel): boolean => Math.min(rows, columns) < 2 || sum < 2;

const native = (name: string, evaluate: (a: number, b: number) => number): ElementwiseOp => ({
  kind: "elementwise",
  name,
  arity: 2,
  dtype: ([x]) => x!,
  eval: ([x, y]) => evaluate(x!, y!),
  wgsl: () => "",
});

const multiply = native("mul", (x, y) => x * y);
const sum: ReduceOp = { kind: "reduce", name: "sum", combine: native("add", (x, y) => x + y), identity: () => 0 };

export function asLoop(kernel: ContractKernel): LoopKernel {
  const { a, b, dtype } = kernel;
  const value: Expr = { kind: "apply", op: multiply, args: [a, b], dtype, key: `${a.key}*${b.key}` };
  return {
    kind: "loop",
    name: kernel.name,
    outer: [kernel.batch, kernel.rows, kernel.columns],
    inner: [kernel.sum],
    stages: [
      { kind: "reduce", op: sum, value, dtype },
      ...kernel.stores.map((store) => ({ kind: "store" as const, level: "outer" as const, ...store })),
    ],
  };
}
