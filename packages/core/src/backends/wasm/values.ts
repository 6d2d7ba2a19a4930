/**
 * Renders what a kernel computes for one element. Every value is a vector of four lanes: in the main loops lane l
 * belongs to element `v + l` of the vectorised axis; in the loop over the last few elements only lane 0 counts.
 */
import { bytesPerElement, type ComputeType, computeType, type DType } from "../../dtype.ts";
import { VlmError } from "../../errors.ts";
import type { Expr } from "../../ir/expr.ts";
import type { BufferSpec } from "../../ir/kernel.ts";
import { type Atom, type Condition, constant, type Linear, strideOf } from "../../ir/linear.ts";
import { emitInstruction, hasInstruction } from "../../ir/wasm-native.ts";
import type { Decomposer, ElementwiseOp } from "../../op.ts";
import { type Bound, type Code, floatBits } from "./assembler.ts";
import {
  convertLoaded,
  convertStored,
  loadContiguous,
  loadLane,
  loadUniform,
  storeContiguous,
  storeLane,
} from "./memory-access.ts";
import { i, op, V128, v } from "./opcodes.ts";

type Known = { local: number; mask: number };

const STAGE_BIT = 16;

/** The parameter that holds the address of kept values. */
export const MEMO = 2;

/** The bits of a constant as a lane of its type. */
function wordOf(type: ComputeType, value: number): number {
  if (type === "f32") return floatBits(value);
  if (type === "bool") return value ? -1 : 0;
  return value | 0;
}

/** The bits of a reduction's identity as a lane. */
export const identityWord = (value: number, dtype: DType): number => wordOf(computeType(dtype), value);

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

export class Values {
  readonly code: Code;
  /** Locals that hold the loop variables; the vectorised one holds its first lane's index. */
  readonly axes = new Map<number, number>();
  /** The vectorised axis, or −1. */
  vector = -1;
  /** 4, or 1 when only lane 0 counts. */
  width: 1 | 4 = 1;
  /** Which of several consecutive vectors the body is for. */
  unroll = 0;
  /** Bits of the axes and stages whose values exist. */
  private ready = 0;
  private clamp = false;
  /** Stage results are vectors over the vectorised axis (it is an outer one). */
  stagesVary = false;
  private scopes: Map<string, Known>[] = [new Map()];
  /** Pushes a stage's value where it is not in a local (a product's block of sums). */
  pushStage: ((stage: number) => void) | null = null;
  private readonly specs: readonly BufferSpec[];
  private readonly pushBase: (buffer: number) => void;
  private readonly dependencies = new Map<Expr, number>();
  private readonly expanded = new Map<Expr, Expr>();
  private readonly interned = new Map<string, Expr>();
  private serial = 0;

  private readonly fused: boolean;

  /** `fused`: the engine has fused multiply-add. */
  constructor(code: Code, specs: readonly BufferSpec[], pushBase: (buffer: number) => void, fused: boolean) {
    this.fused = fused;
    this.code = code;
    this.specs = specs;
    this.pushBase = pushBase;
  }

  // Scopes: what is computed inside a branch or loop is not known outside it.

  scope(body: () => void): void {
    const { ready } = this;
    this.scopes.push(new Map());
    body();
    this.scopes.pop();
    this.ready = ready;
  }

  private find(key: string): Known | undefined {
    for (let at = this.scopes.length - 1; at >= 0; at--) {
      const known = this.scopes[at]!.get(key);
      if (known) return known;
    }
    return undefined;
  }

  private record(key: string, local: number, mask = 0): number {
    this.scopes[this.scopes.length - 1]!.set(key, { local, mask });
    return local;
  }

  bindAxis(axis: number, local: number): void {
    this.axes.set(axis, local);
    this.ready |= 1 << axis;
  }

  bindStage(stage: number, local: number): void {
    this.record(this.keyed(`s${stage}`, this.stagesVary), local);
    this.ready |= 1 << (STAGE_BIT + stage);
  }

  /** From here to the end of the scope `pushStage` can give the stage. */
  allowStage(stage: number): void {
    this.ready |= 1 << (STAGE_BIT + stage);
  }

  private keyed(key: string, varies: boolean): string {
    return varies ? `${key}@${this.unroll}` : key;
  }

  /**
   * Loops over an axis from where the local `at` stands: `unroll` vectors at a time, then one, then single elements.
   * A fixed end means that `at` starts at 0.
   */
  loop(axis: number, at: number, high: Bound, unroll: number, body: (unroll: number) => void): void {
    const { code } = this;
    const fixed = typeof high === "number" ? high : null;
    const run = (width: 1 | 4, count: number): void => {
      const step = width * count;
      if (fixed !== null && fixed < step) return;
      let end: Bound;
      if (fixed !== null) end = fixed - (fixed % step);
      else if (step === 1) end = high;
      else {
        // A multiple from where the loop starts: the remainder is left to the next loop.
        code
          .bound(high)
          .bound(high)
          .get(at)
          .op(op.sub)
          .i32(step - 1)
          .op(op.and, op.sub);
        end = { local: code.keep() };
      }
      this.width = width;
      code.while(at, end, step, () => {
        this.scope(() => {
          this.bindAxis(axis, at);
          body(count);
        });
      });
      this.unroll = 0;
    };
    if (unroll > 1) run(4, unroll);
    if (fixed === null || unroll === 1 || fixed % (4 * unroll) >= 4) run(4, 1);
    if (fixed === null || fixed % 4 > 0) run(1, 1);
    this.width = 1;
  }

  // What an expression depends on.

  private depends(expr: Expr): number {
    let mask = this.dependencies.get(expr);
    if (mask !== undefined) return mask;
    mask = 0;
    if (expr.kind === "load" || expr.kind === "index") mask = this.dependsIndex(expr.index);
    else if (expr.kind === "stage") {
      mask = 1 << (STAGE_BIT + expr.stage);
      if (this.stagesVary) mask |= 1 << this.vector;
    } else if (expr.kind === "apply") for (const arg of expr.args) mask |= this.depends(arg);
    else if (expr.kind === "guard") {
      mask = this.depends(expr.value);
      for (const { index } of expr.conditions) mask |= this.dependsIndex(index);
    }
    this.dependencies.set(expr, mask);
    return mask;
  }

  private dependsIndex(index: Linear): number {
    return index.terms.reduce((mask, { atom }) => mask | this.dependsAtom(atom), 0);
  }

  private dependsAtom(atom: Atom): number {
    if (atom.kind === "axis") return 1 << atom.axis;
    return atom.kind === "value" ? this.depends(this.expand(atom.value)) : this.dependsIndex(atom.of);
  }

  /** Values kept in memory, by key: byte offset from the address in MEMO, element i of the vectorised axis at 4 i. */
  readonly memo = new Map<string, number>();

  private pushMemo(): void {
    this.code.get(MEMO).get(this.axes.get(this.vector)!).i32(2).op(op.shl, op.add);
  }

  /** Writes a value to its place in memory. */
  remember(expr: Expr, offset: number): void {
    const value = this.value(expr);
    this.pushMemo();
    this.code.get(value);
    if (this.width === 4) this.code.memory(v.store, offset + this.unroll * 16);
    else this.code.memory(v.storeLane, offset, 0);
  }

  /** Whether lanes have different values of the expression. */
  variesInLane(expr: Expr): boolean {
    return this.varies(this.depends(expr));
  }

  /** Which stages an expression reads, one bit each. */
  stagesOf(expr: Expr): number {
    return this.depends(this.expand(expr)) >>> STAGE_BIT;
  }

  /** Whether a mask contains the vectorised axis. */
  private varies(mask: number): boolean {
    return this.vector >= 0 && (mask & (1 << this.vector)) !== 0;
  }

  // Ops without an instruction become trees of those that have one.

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

  private apply(of: ElementwiseOp, args: readonly Expr[], dtype: DType): Expr {
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

  /** Products made by decompositions: where the engine can, they are fused into the sum that takes them. */
  private readonly products = new Set<Expr>();

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

  /** How many values are computed for one element: the size of a kernel's body. */
  countNodes(roots: readonly Expr[]): number {
    return this.parts(roots).size;
  }

  /** All expressions that `roots` are made of. */
  parts(roots: readonly Expr[]): Set<Expr> {
    const seen = new Set<Expr>();
    const visit = (expr: Expr): void => {
      if (seen.has(expr)) return;
      seen.add(expr);
      if (expr.kind === "apply") expr.args.forEach(visit);
      else if (expr.kind === "guard") visit(expr.value);
    };
    for (const root of roots) visit(this.expand(root));
    return seen;
  }

  // Hoisting.

  /** Computes, here, every part of `roots` that depends only on what is known here; loops inside will find it. */
  hoist(roots: readonly Expr[], indices: readonly { buffer: number; index: Linear }[] = []): void {
    const seen = new Set<Expr>();
    const visitIndex = (index: Linear): void => {
      for (const { atom } of index.terms) {
        if (atom.kind === "value") visit(this.expand(atom.value));
        else if (atom.kind !== "axis") visitIndex(atom.of);
      }
    };
    const visit = (expr: Expr): void => {
      if (seen.has(expr)) return;
      seen.add(expr);
      if (this.memo.has(expr.key)) return;
      if ((this.depends(expr) & ~this.ready) === 0) this.value(expr);
      else if (expr.kind === "apply") expr.args.forEach(visit);
      else if (expr.kind === "load") {
        visitIndex(expr.index);
        this.hoistAddress(expr.buffer, expr.index);
      }
    };
    for (const root of roots) visit(this.expand(root));
    for (const { buffer, index } of indices) this.hoistAddress(buffer, index);
  }

  private hoistAddress(buffer: number, index: Linear): void {
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

  // Indices.

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

  private times(factor: number): Code {
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
  private pushIndices(index: Linear): void {
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

  // Values.

  /** The local that holds the value of an expression, computed here unless it is known. */
  value(source: Expr): number {
    const expr = this.expand(source);
    const key = this.keyed(expr.kind === "stage" ? `s${expr.stage}` : expr.key, this.varies(this.depends(expr)));
    const known = this.find(key);
    if (known) return known.local;
    const kept = this.memo.get(expr.key);
    if (kept === undefined) this.push(expr);
    else {
      this.pushMemo();
      this.code.memory(this.width === 4 ? v.load : v.loadZero, kept + this.unroll * 16);
    }
    return this.record(key, this.code.keep(V128));
  }

  private push(expr: Expr): void {
    const { code } = this;
    if (expr.kind === "constant") code.splat(wordOf(computeType(expr.dtype), expr.value));
    else if (expr.kind === "load") this.pushLoad(expr.buffer, expr.index, expr.dtype);
    else if (expr.kind === "guard") this.pushGuard(expr);
    else if (expr.kind === "apply") this.pushApply(expr.op, expr.args, expr.dtype);
    else if (expr.kind === "index") this.pushIndices(expr.index);
    else if (this.pushStage) this.pushStage(expr.stage);
    else throw new Error(`stage ${expr.stage} is read before it is computed`);
  }

  private pushApply(of: ElementwiseOp, args: readonly Expr[], dtype: DType): void {
    const { code } = this;
    const types = args.map((arg) => computeType(arg.dtype));
    const context = { code, args: args.map((arg) => this.value(arg)), exprs: args, types, result: computeType(dtype) };
    if (!emitInstruction(of.name, context)) {
      throw new VlmError("FeatureMissingError", "WASM_OP", {
        what: `wasm: ${of.name} of ${types.join(" ")} has neither an instruction nor a decomposition`,
        hint: "give the op record a decompose(), or use the js device",
        details: { op: of.name, types },
      });
    }
    if (dtype === "u8") code.splat(255).op(v.and);
  }

  /** The op on two values in locals, left on the stack: how reductions combine. */
  pushCombined(of: ElementwiseOp, a: number, b: number, dtype: DType): void {
    const exprs = [a, b].map((local): Expr => {
      const key = `p${this.serial++}`;
      this.record(key, local);
      // Never loaded: the key is known already.
      return { kind: "load", buffer: -1, index: constant(0), dtype, key };
    });
    this.push(this.apply(of, exprs, dtype));
  }

  private pushLoad(buffer: number, index: Linear, dtype: DType): void {
    const { code } = this;
    const mask = this.dependsIndex(index);
    if (this.clamp) this.pushClampedLoad(buffer, index, dtype, this.varies(mask));
    else if (!this.varies(mask)) {
      this.pushAddress(buffer, index);
      loadUniform(code, dtype);
    } else if (this.width === 1) {
      this.pushAddress(buffer, index);
      loadLane(code, dtype, 0, 0);
    } else {
      const stride = strideOf(index, this.vector);
      if (stride === null) this.pushGather(buffer, dtype, () => this.pushIndices(index));
      else {
        this.pushAddress(buffer, index);
        const bytes = bytesPerElement(dtype) * stride;
        if (stride === 1) loadContiguous(code, dtype, this.unroll * 4 * bytes);
        else {
          this.eachLane(bytes, (lane, offset) => loadLane(code, dtype, lane, offset));
        }
      }
    }
    convertLoaded(code, dtype);
  }

  /** Pops an address; for each lane pushes the lane's address less an offset that the access then adds. */
  private eachLane(bytes: number, access: (lane: number, offset: number) => void): void {
    const { code } = this;
    const address = code.keep();
    for (let lane = 0; lane < 4; lane++) {
      const offset = (this.unroll * 4 + lane) * bytes;
      code.get(address);
      if (offset < 0) code.i32(offset).op(op.add);
      access(lane, Math.max(0, offset));
    }
  }

  private pushGather(buffer: number, dtype: DType, pushIndices: () => void): void {
    const { code } = this;
    pushIndices();
    const indices = code.keep(V128);
    for (let lane = 0; lane < this.width; lane++) {
      this.pushBase(buffer);
      code.get(indices).lane(v.extract, lane);
      this.times(bytesPerElement(dtype)).op(op.add);
      loadLane(code, dtype, lane, 0);
    }
  }

  /** Reads some element of the buffer where the index is out of range: a guard around it drops the value. */
  private pushClampedLoad(buffer: number, index: Linear, dtype: DType, varies: boolean): void {
    const { code } = this;
    const { width } = this;
    if (!varies) this.width = 1;
    this.pushGather(buffer, dtype, () => {
      this.pushIndices(index);
      code
        .splat(Math.max(0, this.specs[buffer]!.size - 1))
        .op(i.minS)
        .splat(0)
        .op(i.maxS);
    });
    if (!varies) code.lane(v.extract, 0).op(v.splat);
    this.width = width;
  }

  private pushGuard(expr: Extract<Expr, { kind: "guard" }>): void {
    const { code } = this;
    const otherwise = wordOf(computeType(expr.dtype), expr.otherwise);
    const inside = (): void => this.scope(() => code.get(this.value(expr.value)));
    const varying = expr.conditions.filter(({ index }) => this.width === 4 && this.varies(this.dependsIndex(index)));
    const uniform = expr.conditions.filter((condition) => !varying.includes(condition));
    if (uniform.length > 0) {
      uniform.forEach((condition, at) => {
        this.pushCondition(condition);
        if (at > 0) code.op(op.and);
      });
      const then =
        varying.length === 0 ? inside : () => this.scope(() => this.pushGuard({ ...expr, conditions: varying }));
      code.if(then, () => code.splat(otherwise), V128);
      return;
    }
    varying.forEach((condition, at) => {
      this.pushConditions(condition);
      if (at > 0) code.op(v.and);
    });
    const holds = code.keep(V128);
    const select = (): void => {
      const { clamp } = this;
      this.clamp = true;
      inside();
      this.clamp = clamp;
      code.splat(otherwise).get(holds).op(v.bitselect);
    };
    if (this.clamp) select();
    else code.get(holds).op(i.allTrue).if(inside, select, V128);
  }

  private pushCondition({ index, low, high }: Condition): void {
    this.pushIndex(index);
    if (low) this.code.i32(low).op(op.sub);
    this.code.i32(Math.max(0, high - low)).op(op.ltU);
  }

  private pushConditions({ index, low, high }: Condition): void {
    this.pushIndices(index);
    if (low) this.code.splat(low).op(i.sub);
    this.code.splat(Math.max(0, high - low)).op(i.ltU);
  }

  /** Writes a value computed before (a local) to its element, or its four elements. */
  store(buffer: number, index: Linear, value: number): void {
    const { code } = this;
    const { dtype } = this.specs[buffer]!;
    code.get(value);
    convertStored(code, dtype);
    const converted = code.keep(V128);
    if (this.width === 1 || !this.varies(this.dependsIndex(index))) {
      this.pushAddress(buffer, index);
      storeLane(code, dtype, converted, 0, 0);
      return;
    }
    const bytes = bytesPerElement(dtype);
    const stride = strideOf(index, this.vector);
    if (stride === null) {
      this.pushIndices(index);
      const indices = code.keep(V128);
      for (let lane = 0; lane < 4; lane++) {
        this.pushBase(buffer);
        code.get(indices).lane(v.extract, lane);
        this.times(bytes).op(op.add);
        storeLane(code, dtype, converted, lane, 0);
      }
      return;
    }
    this.pushAddress(buffer, index);
    if (stride === 1) storeContiguous(code, dtype, converted, this.unroll * 4 * bytes);
    else this.eachLane(stride * bytes, (lane, offset) => storeLane(code, dtype, converted, lane, offset));
  }
}
