/**
 * What a kernel computes for one element: a tree over loads, constants and elementwise ops.
 * Equal sub-expressions are the same object (see `ExprBuilder`), so a renderer emits each once.
 */
import type { DType } from "../dtype.ts";
import type { ElementwiseOp } from "../op.ts";
import type { Condition, Linear } from "./linear.ts";

export type Expr =
  /** Element `index` of buffer number `buffer`. Guarded by the enclosing `guard`, else always in range. */
  | { kind: "load"; buffer: number; index: Linear; dtype: DType; key: string }
  | { kind: "constant"; value: number; dtype: DType; key: string }
  /** The index itself as an i32 value. */
  | { kind: "index"; index: Linear; dtype: "i32"; key: string }
  /** `value` where all conditions hold, else `otherwise`. Loads inside may be out of range where they do not. */
  | { kind: "guard"; conditions: readonly Condition[]; value: Expr; otherwise: number; dtype: DType; key: string }
  | { kind: "apply"; op: ElementwiseOp; args: readonly Expr[]; dtype: DType; key: string }
  /** The result of reduce stage number `stage` of the same kernel, or of the contraction (stage 0). */
  | { kind: "stage"; stage: number; dtype: DType; key: string };

/** Builds expressions, interning equal ones. Keys are short numbers, not nested text. */
export class ExprBuilder {
  private readonly known = new Map<string, Expr>();
  private readonly prefix: string;

  /** `prefix` sets keys apart where expressions of two builders meet in one kernel. */
  constructor(prefix = "e") {
    this.prefix = prefix;
  }

  private intern(text: string, make: (key: string) => Expr): Expr {
    let found = this.known.get(text);
    if (!found) this.known.set(text, (found = make(`${this.prefix}${this.known.size}`)));
    return found;
  }

  load(buffer: number, index: Linear, dtype: DType): Expr {
    return this.intern(`load ${buffer} ${index.key} ${dtype}`, (key) => ({ kind: "load", buffer, index, dtype, key }));
  }

  constant(value: number, dtype: DType): Expr {
    const text = Object.is(value, -0) ? "-0" : `${value}`;
    return this.intern(`constant ${text} ${dtype}`, (key) => ({ kind: "constant", value, dtype, key }));
  }

  index(index: Linear): Expr {
    return this.intern(`index ${index.key}`, (key) => ({ kind: "index", index, dtype: "i32", key }));
  }

  guard(conditions: readonly Condition[], value: Expr, otherwise: number): Expr {
    if (conditions.length === 0) return value;
    const text = conditions.map((c) => `${c.low}<=${c.index.key}<${c.high}`).join("&");
    const other = Object.is(otherwise, -0) ? "-0" : otherwise;
    return this.intern(`guard ${text} ${value.key} ${other}`, (key) => ({
      kind: "guard",
      conditions,
      value,
      otherwise,
      dtype: value.dtype,
      key,
    }));
  }

  apply(op: ElementwiseOp, args: readonly Expr[], dtype: DType): Expr {
    return this.intern(`${op.name} ${dtype} ${args.map((a) => a.key).join(" ")}`, (key) => ({
      kind: "apply",
      op,
      args,
      dtype,
      key,
    }));
  }

  stage(stage: number, dtype: DType): Expr {
    return this.intern(`stage ${stage} ${dtype}`, (key) => ({ kind: "stage", stage, dtype, key }));
  }
}
