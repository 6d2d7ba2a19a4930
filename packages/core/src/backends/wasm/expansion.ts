/**
 * Ops without an instruction become trees of those that have one (their decompositions). Equal trees become one object,
 * so that what is computed once is found again; products are fused into the sums that take them where the engine can.
 */
import { computeType, type DType } from "../../dtype.ts";
import type { Expr } from "../../ir/expr.ts";
import { hasInstruction } from "../../ir/wasm-native.ts";
import type { Decomposer, ElementwiseOp } from "../../op.ts";

const fusedOp = (name: string, sign: number): ElementwiseOp => ({
  kind: "elementwise",
  name,
  arity: 3,
  dtype: ([x]) => x!,
  eval: ([a, b, c]) => sign * a! * b! + c!,
  wgsl: () => "",
});

const MULTIPLY_ADD = fusedOp("multiplyAdd", 1);
const MULTIPLY_SUBTRACT = fusedOp("multiplySubtract", -1);

export class Expansion {
  private readonly expanded = new Map<Expr, Expr>();
  private readonly interned = new Map<string, Expr>();
  /** Products made by decompositions. */
  private readonly products = new Set<Expr>();
  private readonly fused: boolean;

  /** `fused`: the engine has fused multiply-add. */
  constructor(fused: boolean) {
    this.fused = fused;
  }

  /** The tree of instructions that computes an expression. */
  expand(expr: Expr): Expr {
    let result = this.expanded.get(expr);
    if (!result) {
      result = this.rewrite(expr);
      this.expanded.set(expr, result).set(result, result);
    }
    return result;
  }

  private intern(text: string, make: (key: string) => Expr): Expr {
    let found = this.interned.get(text);
    if (!found) this.interned.set(text, (found = make(`x${this.interned.size}`)));
    return found;
  }

  private rewrite(expr: Expr): Expr {
    if (expr.kind === "guard") {
      const value = this.expand(expr.value);
      if (value === expr.value) return expr;
      return this.intern(`${expr.key} ${value.key}`, (key) => ({ ...expr, value, key }));
    }
    if (expr.kind !== "apply") return expr;
    return this.apply(
      expr.op,
      expr.args.map((arg) => this.expand(arg)),
      expr.dtype,
    );
  }

  /** An op of expanded values. */
  apply(of: ElementwiseOp, args: readonly Expr[], dtype: DType): Expr {
    const types = args.map((arg) => computeType(arg.dtype));
    const type = computeType(dtype);
    if (args.every((arg) => arg.kind === "constant")) {
      return this.constant(
        of.eval(
          args.map((arg) => arg.value),
          types,
          type,
        ),
        dtype,
      );
    }
    if (of.decompose && !hasInstruction(of.name, types[0]!)) {
      return this.expand(of.decompose(this.decomposer, args, dtype));
    }
    const text = `${of.name} ${dtype} ${args.map((arg) => arg.key).join(" ")}`;
    return this.intern(text, (key) => ({ kind: "apply", op: of, args, dtype, key }));
  }

  private readonly decomposer: Decomposer = {
    constant: (value, dtype) => this.constant(value, dtype),
    apply: (of, list, as) => {
      const args = list.map((arg) => this.expand(arg));
      const types = args.map((arg) => arg.dtype);
      const dtype = as ?? of.dtype(types, {});
      const [a, b] = args as [Expr, Expr];
      if (this.fused && dtype === "f32" && (of.name === "add" || of.name === "sub")) {
        const product = this.products.has(b) ? b : of.name === "add" && this.products.has(a) ? a : null;
        if (product?.kind === "apply") {
          const other = product === b ? a : b;
          return this.apply(of.name === "add" ? MULTIPLY_ADD : MULTIPLY_SUBTRACT, [...product.args, other], dtype);
        }
      }
      const result = this.apply(of, args, dtype);
      if (of.name === "mul" && result.kind === "apply") this.products.add(result);
      return result;
    },
  };

  private constant(value: number, dtype: DType): Expr {
    const text = Object.is(value, -0) ? "-0" : `${value}`;
    return this.intern(`= ${text} ${dtype}`, (key) => ({ kind: "constant", value, dtype, key }));
  }
}
