/**
 * Renders what a kernel computes for one element. Every value is a vector of four lanes: in the main loops lane l
 * belongs to element `v + l` of the vectorised axis; in the loop over the last few elements only lane 0 counts.
 */
import { bytesPerElement, type ComputeType, computeType, type DType } from "../../dtype.ts";
import { VlmError } from "../../errors.ts";
import type { Expr } from "../../ir/expr.ts";
import { type Condition, constant, type Linear, strideOf } from "../../ir/linear.ts";
import { emitInstruction } from "../../ir/wasm-native.ts";
import type { ElementwiseOp } from "../../op.ts";
import { floatBits } from "./assembler.ts";
import { Indices } from "./indices.ts";
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

/** The parameter that holds the address of kept values. */
const MEMO = 2;

/** The bits of a constant as a lane of its type. */
function wordOf(type: ComputeType, value: number): number {
  if (type === "f32") return floatBits(value);
  if (type === "bool") return value ? -1 : 0;
  return value | 0;
}

/** The bits of a reduction's identity as a lane. */
export const identityWord = (value: number, dtype: DType): number => wordOf(computeType(dtype), value);

const conditionKey = ({ index, low, high }: Condition): string => `C${low} ${high} ${index.key}`;

export class Values extends Indices {
  /** Pushes a stage's value where it is not in a local (a product's block of sums). */
  pushStage: ((stage: number) => void) | null = null;
  /** Loads stay within their buffers: the element may be one that a guard drops. */
  private clamp = false;
  private serial = 0;

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
      } else if (expr.kind === "guard") {
        for (const condition of expr.conditions) {
          visitIndex(condition.index);
          this.hoistCondition(condition);
        }
        visitGuarded(expr.value);
      }
    };
    // What a guard protects is not loaded here, but addresses can be had that need nothing but what is known.
    const guarded = new Set<Expr>();
    const visitGuarded = (expr: Expr): void => {
      if (guarded.has(expr)) return;
      guarded.add(expr);
      if (expr.kind === "load" && this.knows(expr.index)) this.hoistAddress(expr.buffer, expr.index);
      else if (expr.kind === "apply") expr.args.forEach(visitGuarded);
      else if (expr.kind === "guard") visitGuarded(expr.value);
    };
    for (const root of roots) visit(this.expand(root));
    for (const { buffer, index } of indices) this.hoistAddress(buffer, index);
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

  /** The local that holds the value of an expression, computed here unless it is known. */
  value(source: Expr): number {
    const expr = this.expand(source);
    const key = this.keyed(expr.kind === "stage" ? `stage ${expr.stage}` : expr.key, this.varies(this.depends(expr)));
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
    this.push(this.expansion.apply(of, exprs, dtype));
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

  /** Whether the values among an index's atoms are known, or only known later. */
  private knows(index: Linear): boolean {
    return index.terms.every(({ atom }) => {
      if (atom.kind === "axis" || (this.dependsAtom(atom) & ~this.ready) !== 0) return true;
      return atom.kind === "value" ? this.find(`S${atom.key}`) !== undefined : this.knows(atom.of);
    });
  }

  /** Computes, here, a condition that is the same for all lanes, if it is known here and was not before. */
  private hoistCondition(condition: Condition): void {
    const mask = this.dependsIndex(condition.index);
    const key = conditionKey(condition);
    if (this.varies(mask) || (mask & ~this.ready) !== 0 || this.find(key)) return;
    this.pushCondition(condition);
    this.record(key, this.code.keep());
  }

  private pushCondition(condition: Condition): void {
    const { index, low, high } = condition;
    const known = this.find(conditionKey(condition));
    if (known) {
      this.code.get(known.local);
      return;
    }
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
