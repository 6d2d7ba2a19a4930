/**
 * Addresses and indices. What of an address does not depend on a loop's variable is computed before the loop; quotients
 * and remainders are computed once for all indices that contain them.
 */
import { bytesPerElement } from "../../dtype.ts";
import type { Expr } from "../../ir/expr.ts";
import type { BufferSpec } from "../../ir/kernel.ts";
import type { Atom, Linear } from "../../ir/linear.ts";
import type { Code } from "./assembler.ts";
import { KnownValues } from "./known-values.ts";
import { i, op, V128, v } from "./opcodes.ts";

export abstract class Indices extends KnownValues {
  protected readonly specs: readonly BufferSpec[];
  protected readonly pushBase: (buffer: number) => void;

  /** `fused`: the engine has fused multiply-add. */
  constructor(code: Code, specs: readonly BufferSpec[], pushBase: (buffer: number) => void, fused: boolean) {
    super(code, fused);
    this.specs = specs;
    this.pushBase = pushBase;
  }

  /** The local that holds the value of an expression, which an index may contain. */
  abstract value(source: Expr): number;

  /** Computes, here, what of an address is known here and was not before. */
  protected hoistAddress(buffer: number, index: Linear): void {
    const key = `A${buffer} ${index.key}`;
    const { ready } = this;
    const done = this.find(key)?.mask ?? -1;
    const fresh = index.terms.some(({ atom }) => {
      const mask = this.dependsAtom(atom);
      return (mask & ~ready) === 0 && (done === -1 || (mask & ~done) !== 0);
    });
    if (done !== -1 && !fresh) return;
    this.pushAddress(buffer, index, ready);
    this.record(key, this.code.keep(), ready);
  }

  /** Pushes the address of an element (of the first lane, where lanes differ); only terms within `mask`. */
  pushAddress(buffer: number, index: Linear, mask = -1): void {
    const { code } = this;
    const bytes = bytesPerElement(this.specs[buffer]!.dtype);
    const known = this.find(`A${buffer} ${index.key}`);
    if (known) code.get(known.local);
    else {
      this.pushBase(buffer);
      if (index.constant) code.i32(index.constant * bytes).op(op.add);
    }
    for (const { atom, times } of index.terms) {
      const needs = this.dependsAtom(atom);
      if ((needs & ~mask) !== 0 || (known && (needs & ~known.mask) === 0)) continue;
      this.pushAtom(atom);
      this.times(times * bytes).op(op.add);
    }
  }

  protected times(factor: number): Code {
    const shift = Math.log2(factor);
    if (factor === 1) return this.code;
    return Number.isInteger(shift) ? this.code.i32(shift).op(op.shl) : this.code.i32(factor).op(op.mul);
  }

  private pushAtom(atom: Atom): void {
    const { code } = this;
    if (atom.kind === "axis") {
      code.get(this.axes.get(atom.axis)!);
      return;
    }
    const key = `S${atom.key}`;
    const known = this.find(key);
    if (known) {
      code.get(known.local);
      return;
    }
    if (atom.kind === "value") code.get(this.value(atom.value)).lane(v.extract, 0);
    else {
      this.pushIndex(atom.of);
      code.i32(atom.by).op(atom.kind === "div" ? op.divU : op.remU);
    }
    code.tee(this.record(key, code.local()));
  }

  /** Pushes an index as an i32: the first lane's. */
  pushIndex(index: Linear): void {
    const { code } = this;
    let first = index.terms.length === 0 || index.constant !== 0;
    if (first) code.i32(index.constant);
    for (const { atom, times } of index.terms) {
      this.pushAtom(atom);
      this.times(times);
      if (first) code.op(op.add);
      first = true;
    }
  }

  /** Pushes an index as a vector, one value for each lane. */
  protected pushIndices(index: Linear): void {
    const { code } = this;
    const fixed = index.terms.filter(({ atom }) => !this.varies(this.dependsAtom(atom)));
    this.pushIndex({ constant: index.constant, terms: fixed, key: "" });
    code.op(v.splat);
    for (const { atom, times } of index.terms) {
      if (!this.varies(this.dependsAtom(atom))) continue;
      code.get(this.atomLanes(atom));
      if (times !== 1) code.splat(times).op(i.mul);
      code.op(i.add);
    }
  }

  private atomLanes(atom: Atom): number {
    const { code } = this;
    if (atom.kind === "value") return this.value(atom.value);
    const key = this.keyed(`V${atom.key}`, true);
    const known = this.find(key);
    if (known) return known.local;
    if (atom.kind === "axis") {
      const first = this.unroll * 4;
      code.get(this.axes.get(atom.axis)!).op(v.splat);
      if (this.width === 4) code.words(first, first + 1, first + 2, first + 3).op(i.add);
    } else {
      this.pushIndices(atom.of);
      const shift = Math.log2(atom.by);
      if (Number.isInteger(shift)) {
        if (atom.kind === "div") code.i32(shift).op(i.shrU);
        else code.splat(atom.by - 1).op(v.and);
      } else {
        const of = code.vector();
        code.tee(of);
        for (let lane = 0; lane < this.width; lane++) {
          code.get(of).lane(v.extract, lane).i32(atom.by);
          code.op(atom.kind === "div" ? op.divU : op.remU).lane(v.replace, lane);
        }
      }
    }
    return this.record(key, code.keep(V128));
  }
}
