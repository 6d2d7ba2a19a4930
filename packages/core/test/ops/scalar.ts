/** Evaluates decompositions one scalar at a time, in f32, from instructions only: what a device would compute. */
import { type ComputeType, computeType, type DType, roundTo } from "../../src/dtype.ts";
import { type Expr, ExprBuilder } from "../../src/ir/expr.ts";
import { constant } from "../../src/ir/linear.ts";
import { hasInstruction } from "../../src/ir/wasm-native.ts";
import type { ElementwiseOp } from "../../src/op.ts";

/** A function from arguments to the f32 result of the op's decomposition (or of its instruction). */
export function decomposedScalar(
  op: ElementwiseOp,
  dtypes: readonly DType[],
  result: DType,
): (...args: number[]) => number {
  const builder = new ExprBuilder();
  const decomposer = {
    constant: (value: number, dtype: DType) => builder.constant(value, dtype),
    apply: (each: ElementwiseOp, args: readonly Expr[], dtype?: DType) =>
      builder.apply(each, args, dtype ?? args[args.length - 1]!.dtype),
  };
  const loads = dtypes.map((dtype, i) => builder.load(i, constant(0), dtype));
  const native = hasInstruction(op.name, computeType(dtypes[0]!));
  const root = native ? builder.apply(op, loads, result) : op.decompose!(decomposer, loads, result);
  return (...args) => {
    const known = new Map<string, number>();
    const visit = (expr: Expr): number => {
      let value = known.get(expr.key);
      if (value === undefined) known.set(expr.key, (value = wrap(computeType(expr.dtype), compute(expr))));
      return value;
    };
    const compute = (expr: Expr): number => {
      if (expr.kind === "load") return args[expr.buffer]!;
      if (expr.kind === "constant") return expr.value;
      if (expr.kind !== "apply") throw new Error(`a decomposition made a ${expr.kind}`);
      const types = expr.args.map((arg) => computeType(arg.dtype));
      if (!hasInstruction(expr.op.name, types[0]!)) throw new Error(`${op.name} uses ${expr.op.name} of ${types[0]}`);
      return expr.op.eval(expr.args.map(visit), types, computeType(expr.dtype));
    };
    return visit(root);
  };
}

const wrap = (type: ComputeType, value: number): number => roundTo(type as DType, value);

const view = new DataView(new ArrayBuffer(4));

/** Distance in units of the last place of the wanted f32. */
export function ulpsApart(got: number, want: number): number {
  if (Object.is(got, want) || got === want || (Number.isNaN(got) && Number.isNaN(want))) return 0;
  const single = Math.fround(want);
  if (!Number.isFinite(single) || !Number.isFinite(got)) return got === single ? 0 : Number.POSITIVE_INFINITY;
  view.setFloat32(0, Math.abs(single));
  const exponent = Math.max(view.getUint32(0) >>> 23, 1) - 150;
  return Math.abs(got - want) / 2 ** exponent;
}
