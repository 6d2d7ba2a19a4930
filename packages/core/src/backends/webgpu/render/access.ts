/** Finds out how a kernel touches each buffer, so that it can be declared as vectors, elements or atomic words. */
import type { Expr } from "../../../ir/expr.ts";
import type { BufferSpec, Store } from "../../../ir/kernel.ts";
import type { Linear } from "../../../ir/linear.ts";
import { type Access, perWord, type Shader } from "./shader.ts";
import { isRun, type VectorAxis } from "./steps.ts";

export class AccessMap {
  private readonly buffers: readonly BufferSpec[];
  private readonly found = new Map<number, { access: Access; write: boolean }>();
  private readonly seen = new Map<string, Set<Expr>>();

  constructor(buffers: readonly BufferSpec[]) {
    this.buffers = buffers;
  }

  /** Notes the loads of a value that is computed with these lanes. `flat`: every lane has loop variables of its own. */
  value(expr: Expr, vector: VectorAxis, flat = false): void {
    const key = `${vector.axis} ${vector.lanes} ${flat}`;
    let seen = this.seen.get(key);
    if (!seen) this.seen.set(key, (seen = new Set()));
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "load") {
      this.note(expr.buffer, !flat && this.wide(expr.buffer) && isRun(expr.index, vector) ? "vector" : "scalar", false);
    }
    if (expr.kind === "load" || expr.kind === "index") this.index(expr.index, vector, flat);
    else if (expr.kind === "apply") for (const arg of expr.args) this.value(arg, vector, flat);
    else if (expr.kind === "guard") {
      this.value(expr.value, vector, flat);
      for (const { index } of expr.conditions) this.index(index, vector, flat);
    }
  }

  private index(index: Linear, vector: VectorAxis, flat: boolean): void {
    for (const { atom } of index.terms) {
      if (atom.kind === "value") this.value(atom.value, vector, flat);
      else if (atom.kind !== "axis") this.index(atom.of, vector, flat);
    }
  }

  store({ buffer, index, value }: Store, vector: VectorAxis, flat = false): void {
    this.value(value, vector, flat);
    this.index(index, vector, flat);
    const count = perWord(this.buffers[buffer]!.dtype);
    const run = isRun(index, vector);
    if (count === 1) this.note(buffer, run && !flat ? "vector" : "scalar", true);
    else this.note(buffer, (run || flat) && vector.lanes % count === 0 ? "scalar" : "atomic", true);
  }

  private wide(buffer: number): boolean {
    return perWord(this.buffers[buffer]!.dtype) === 1;
  }

  /** The narrowest access that any place asks for wins. */
  private note(buffer: number, access: Access, write: boolean): void {
    const known = this.found.get(buffer);
    const rank: Record<Access, number> = { vector: 0, scalar: 1, atomic: 2 };
    const least = known && rank[known.access] > rank[access] ? known.access : access;
    this.found.set(buffer, { access: least, write: write || (known?.write ?? false) });
  }

  declare(shader: Shader): void {
    for (const [buffer, { access, write }] of this.found) {
      const { dtype, size } = this.buffers[buffer]!;
      shader.declare(buffer, { dtype, bytes: Math.ceil(size / perWord(dtype)) * 4, access, write });
    }
  }
}
