/** From groups of nodes to kernels: every value becomes an expression of loads at symbolic indices. */

import { isFloat } from "../dtype.ts";
import type { Program } from "../graph/program.ts";
import { type Expr, ExprBuilder } from "../ir/expr.ts";
import { symbolic } from "../ir/index-algebra.ts";
import type { BufferSpec, Kernel, LoopKernel, Operand, Schedule, Stage, Store } from "../ir/kernel.ts";
import {
  axis,
  type Condition,
  div,
  flatten,
  fromValue,
  type Linear,
  mod,
  range,
  strideOf,
  unflatten,
} from "../ir/linear.ts";
import { maximumOp, minimumOp } from "../ops/arithmetic.ts";
import { castOp } from "../ops/cast.ts";
import { sizeOf } from "../shape.ts";
import { type Group, Grouping, type Level, type ScheduleOptions } from "./groups.ts";
import { buffersOf } from "./memory.ts";

/** Plans of one program in which single groups are made smaller, before all of them are. */
const PATIENCE = 4;

/** Fewer bindings than these are not worth planning for. */
const FEWEST = 4;

/**
 * Plans a program as kernels over buffers. Grouping can only estimate what its kernels will touch; where one turns out
 * to touch more than the device can bind, that group is made smaller and the program planned again. What a smaller
 * group leaves may make the next one too large: after a few rounds all groups are made as for a device that binds less.
 */
export function scheduleProgram(program: Program, options: ScheduleOptions): Schedule {
  const { name, maxKernelBuffers, bindingsOf } = options;
  const held = new Map<number, number>();
  let most = maxKernelBuffers;
  for (let round = 1; ; round++) {
    const smaller = { name, maxKernelBuffers: most, ...(bindingsOf && { bindingsOf }) };
    const lowering = new Lowering(program, options, new Grouping(program, smaller, held));
    const schedule = lowering.schedule();
    if (lowering.excess.size === 0 || most <= FEWEST) return schedule;
    for (const [anchor, excess] of lowering.excess) held.set(anchor, (held.get(anchor) ?? 0) + excess);
    if (round < PATIENCE) continue;
    held.clear();
    most--;
  }
}

/** How the elements of a group's members map to its kernel's loop variables. */
type Space = {
  outer: readonly number[];
  inner: readonly number[];
  index(shape: readonly number[], level: Level): Linear[];
};

class Lowering {
  readonly #program: Program;
  readonly #grouping: Grouping;
  readonly #buffers: BufferSpec[] = [];
  readonly #bufferOf = new Map<number, number>();
  readonly #kernels: Kernel[] = [];
  readonly #options: ScheduleOptions;
  /** Anchors of groups whose kernels touch too much, with how much too much. */
  readonly excess = new Map<number, number>();

  constructor(program: Program, options: ScheduleOptions, grouping: Grouping) {
    this.#program = program;
    this.#options = options;
    this.#grouping = grouping;
  }

  schedule(): Schedule {
    const program = this.#program;
    const grouping = this.#grouping;
    const copies: { from: number; position: number }[] = [];
    program.nodes.forEach((node, at) => {
      if (node.leaf >= 0) this.#bufferOf.set(at, this.#addBuffer(at, "input", node.leaf));
    });
    program.outputs.forEach((output, position) => {
      const at = this.#base(grouping.resolve(output));
      if (this.#bufferOf.has(at)) copies.push({ from: grouping.resolve(output), position });
      else this.#bufferOf.set(at, this.#addBuffer(at, "output", position));
    });
    for (const at of [...grouping.stored].sort((a, b) => a - b)) {
      if (!this.#bufferOf.has(at)) this.#bufferOf.set(at, this.#addBuffer(at, "temporary", -1));
    }
    for (const group of this.#order()) this.#emit(group);
    for (const { from, position } of copies) this.#emitCopy(from, position);
    return { buffers: this.#buffers, kernels: this.#kernels };
  }

  #addBuffer(at: number, role: BufferSpec["role"], position: number): number {
    const node = this.#program.nodes[at]!;
    this.#buffers.push({ dtype: node.dtype, size: sizeOf(node.shape), role, position });
    return this.#buffers.length - 1;
  }

  /** The node whose buffer holds this one's elements. */
  #base(at: number): number {
    let base = this.#grouping.aliases.get(at);
    while (base !== undefined) {
      at = base;
      base = this.#grouping.aliases.get(at);
    }
    return at;
  }

  /** Groups in an order that respects what they read; otherwise as the program was written. */
  #order(): Group[] {
    const done = new Set<Group>();
    const result: Group[] = [];
    const used = this.#grouping.groups.filter((group) => this.#storesOf(group).length > 0);
    // Explicit stacks of what is still to visit: chains of kernels are deeper than the call stack.
    const stack: { group: Group; before: Group[] }[] = [];
    const enter = (group: Group): void => {
      if (done.has(group)) return;
      done.add(group);
      stack.push({ group, before: [...group.after].sort((a, b) => b.anchor - a.anchor) });
    };
    for (const group of [...used].sort((a, b) => last(a) - last(b))) {
      enter(group);
      for (let top = stack.at(-1); top; top = stack.at(-1)) {
        const before = top.before.pop();
        if (before) enter(before);
        else {
          result.push(top.group);
          stack.pop();
        }
      }
    }
    return result.filter((group) => this.#storesOf(group).length > 0);
  }

  #storesOf(group: Group): number[] {
    const grouping = this.#grouping;
    if (group.kind === "custom") return [...grouping.stored].filter((at) => grouping.groupOf.get(at) === group);
    return [...group.members.keys()].filter((at) => grouping.stored.has(at)).sort((a, b) => a - b);
  }

  #emit(group: Group): void {
    if (group.kind === "custom") this.#emitCustom(group);
    else if (group.kind === "contract") this.#emitContract(group);
    else this.#emitLoop(group);
    if (group.kind !== "custom") this.#countBindings(group, this.#kernels.at(-1)!);
  }

  #countBindings(group: Group, kernel: Kernel): void {
    const { maxKernelBuffers, bindingsOf } = this.#options;
    const { reads, writes } = buffersOf(kernel);
    const touched = [...new Set([...reads, ...writes])].map((at) => this.#buffers[at]!);
    const count = touched.reduce((sum, { dtype, size }) => sum + (bindingsOf?.(dtype, size) ?? 1), 0);
    if (count > maxKernelBuffers) this.excess.set(group.anchor, count - maxKernelBuffers);
  }

  #nameOf(group: Group): string {
    const names = [...group.members.keys()].sort((a, b) => a - b).map((at) => this.#program.nodes[at]!.op.name);
    const where = this.#program.nodes[group.anchor]!.where;
    const shown = names.length > 6 ? [...names.slice(0, 5), `+${names.length - 5}`] : names;
    return `${shown.join("·")}${where ? ` in ${where}` : ""}`;
  }

  #emitCustom(group: Group): void {
    const node = this.#program.nodes[group.anchor]!;
    if (node.op.kind !== "kernel") throw new Error("a custom group without a kernel");
    const operand = (at: number): Operand => ({
      buffer: this.#bufferOf.get(this.#base(at))!,
      shape: this.#program.nodes[at]!.shape,
      dtype: this.#program.nodes[at]!.dtype,
    });
    const inputs = node.inputs.map((input, i): Operand => {
      const at = this.#grouping.resolve(input);
      const found = this.#grouping.viewOf(node, i);
      if (!found) return operand(at);
      const { shape, dtype } = this.#program.nodes[at]!;
      return { buffer: this.#bufferOf.get(this.#base(found.base))!, shape, dtype, view: found.view };
    });
    const picked = new Map(
      this.#storesOf(group).map((at) => [this.#program.nodes[at]!.attributes.index as number, at]),
    );
    const outputs = node.outputs!.map((spec, index): Operand => {
      const at = picked.get(index);
      if (at !== undefined) return operand(at);
      // Nobody reads this output; the kernel still writes it.
      this.#buffers.push({ dtype: spec.dtype, size: sizeOf(spec.shape), role: "temporary", position: -1 });
      return { buffer: this.#buffers.length - 1, shape: spec.shape, dtype: spec.dtype };
    });
    this.#kernels.push({
      kind: "custom",
      name: node.op.name,
      op: node.op,
      attributes: node.attributes,
      inputs,
      outputs,
    });
  }

  #emitContract(group: Group): void {
    const node = this.#program.nodes[group.anchor]!;
    const [a, b] = node.inputs.map((input) => this.#grouping.resolve(input)) as [number, number];
    const rank = node.shape.length;
    const batchShape = node.shape.slice(0, -2);
    const [m, n] = [node.shape[rank - 2]!, node.shape[rank - 1]!];
    const k = this.#program.nodes[a]!.shape[rank - 1]!;
    if (k === 0 || sizeOf(node.shape) === 0) {
      this.#emitEmptyContract(group);
      return;
    }
    const batch = sizeOf(batchShape);
    const build = new ExprBuilder();
    const inner = axis(3, k);
    const right = (index: readonly Linear[]): Expr => this.#lower(build, group, b, [...index, inner, axis(2, n)]);
    // A right operand that is the same for the whole batch: one tall product instead of many small ones.
    const shared = batch > 1 && strideIsZero(right(unflatten(axis(0, batch), batchShape)), 0);
    const row = axis(1, shared ? batch * m : m);
    const batchIndex = unflatten(shared ? div(row, m) : axis(0, batch), batchShape);
    const rowIndex = shared ? mod(row, m) : row;
    const position = flatten([...batchIndex, rowIndex, axis(2, n)], node.shape);
    const stores = this.#storesOf(group).map((at): Store => {
      const index = unflatten(position, this.#program.nodes[at]!.shape);
      return this.#store(at, index, this.#lowerMember(build, group, at, index));
    });
    this.#kernels.push({
      kind: "contract",
      name: this.#nameOf(group),
      batch: shared ? 1 : batch,
      rows: shared ? batch * m : m,
      columns: n,
      sum: k,
      a: this.#lower(build, group, a, [...batchIndex, rowIndex, inner]),
      b: right(batchIndex),
      dtype: node.dtype,
      stores,
    });
  }

  /** A sum over nothing is 0; the epilogue still runs. */
  #emitEmptyContract(group: Group): void {
    const { shape } = this.#program.nodes[group.anchor]!;
    this.#emitLoop({ ...group, kind: "loop", outer: shape, full: shape, axes: [] });
  }

  #emitLoop(group: Group): void {
    const outer = group.outer;
    const inner = group.axes.map((i) => group.full[i]!);
    const plain = this.#loopKernel(group, separate(group, outer, inner));
    const [mergedOuter, mergedInner] = mergeAxes(plain);
    const fewer = mergedOuter.length < plain.outer.length || mergedInner.length < plain.inner.length;
    this.#kernels.push(fewer ? this.#loopKernel(group, merged(group, outer, inner, mergedOuter, mergedInner)) : plain);
  }

  #loopKernel(group: Group, space: Space): LoopKernel {
    const build = new ExprBuilder();
    const stages: Stage[] = [];
    const members = [...group.members].sort(([x], [y]) => x - y);
    const stageOf = new Map<number, number>();
    for (const [at] of members) {
      const { op, dtype, inputs } = this.#program.nodes[at]!;
      if (op.kind !== "reduce") continue;
      const input = this.#grouping.resolve(inputs[0]!);
      const value = this.#lower(build, group, input, space.index(this.#program.nodes[input]!.shape, "inner"), stageOf);
      stageOf.set(at, stages.length);
      stages.push({ kind: "reduce", op, value, dtype });
    }
    for (const level of ["outer", "inner"] as const) {
      for (const [at, own] of members) {
        if (own !== level || !this.#grouping.stored.has(at)) continue;
        const index = space.index(this.#program.nodes[at]!.shape, level);
        const value = this.#lowerMember(build, group, at, index, stageOf);
        stages.push({ kind: "store", level, ...this.#store(at, index, value) });
      }
    }
    return { kind: "loop", name: this.#nameOf(group), outer: space.outer, inner: space.inner, stages };
  }

  #emitCopy(from: number, position: number): void {
    const { shape } = this.#program.nodes[from]!;
    const buffer = this.#addBuffer(from, "output", position);
    const n = sizeOf(shape);
    const build = new ExprBuilder();
    const at = axis(0, n);
    const value = build.load(this.#bufferOf.get(this.#base(from))!, at, this.#program.nodes[from]!.dtype);
    const store: Stage = { kind: "store", level: "outer", buffer, index: at, value };
    this.#kernels.push({ kind: "loop", name: "copy", outer: n === 1 ? [] : [n], inner: [], stages: [store] });
  }

  #store(at: number, index: readonly Linear[], value: Expr): Store {
    return {
      buffer: this.#bufferOf.get(this.#base(at))!,
      index: flatten(index, this.#program.nodes[at]!.shape),
      value,
    };
  }

  /** The value of a member at its own index (never a load of itself). */
  #lowerMember(
    build: ExprBuilder,
    group: Group,
    at: number,
    index: readonly Linear[],
    stageOf?: ReadonlyMap<number, number>,
  ): Expr {
    return this.#value(build, group, at, index, new Map(), stageOf);
  }

  /** The value of node `at` at `index`, as seen from inside `group`. */
  #lower(
    build: ExprBuilder,
    group: Group,
    at: number,
    index: readonly Linear[],
    stageOf?: ReadonlyMap<number, number>,
    memo = new Map<string, Expr>(),
  ): Expr {
    const base = this.#base(at);
    const inGroup = group.members.has(at) || group.members.has(base) || this.#grouping.again.get(base)?.has(group);
    if (!inGroup && this.#bufferOf.has(base)) {
      return build.load(
        this.#bufferOf.get(base)!,
        flatten(index, this.#program.nodes[at]!.shape),
        this.#program.nodes[at]!.dtype,
      );
    }
    return this.#value(build, group, at, index, memo, stageOf);
  }

  #value(
    build: ExprBuilder,
    group: Group,
    at: number,
    index: readonly Linear[],
    memo: Map<string, Expr>,
    stageOf?: ReadonlyMap<number, number>,
  ): Expr {
    if (!this.#grouping.isShared(at)) return this.#compute(build, group, at, index, memo, stageOf);
    const key = `${at} ${index.map((i) => i.key).join(" ")}`;
    let expr = memo.get(key);
    if (!expr) memo.set(key, (expr = this.#compute(build, group, at, index, memo, stageOf)));
    return expr;
  }

  #compute(
    build: ExprBuilder,
    group: Group,
    at: number,
    index: readonly Linear[],
    memo: Map<string, Expr>,
    stageOf?: ReadonlyMap<number, number>,
  ): Expr {
    const node = this.#program.nodes[at]!;
    const { op, dtype } = node;
    const input = (k: number, where: readonly Linear[]): Expr =>
      this.#lower(build, group, this.#grouping.resolve(node.inputs[k]!), where, stageOf, memo);
    switch (op.kind) {
      case "fill":
        return build.constant(node.attributes.value as number, dtype);
      case "iota":
        return build.index(index[0]!);
      case "elementwise":
        return build.apply(
          op,
          node.inputs.map((_, k) => input(k, index)),
          dtype,
        );
      case "view": {
        const source = this.#program.nodes[this.#grouping.resolve(node.inputs[0]!)]!.shape;
        const mapped = op.map(symbolic, index, source, node.shape, node.attributes);
        const conditions = openConditions(mapped.conditions ?? []);
        if (conditions === "never") return build.constant(mapped.otherwise ?? 0, dtype);
        return build.guard(conditions, input(0, mapped.index), mapped.otherwise ?? 0);
      }
      case "take": {
        const table = this.#program.nodes[this.#grouping.resolve(node.inputs[0]!)]!;
        const rows = table.shape[0]!;
        let id = input(1, [index[0]!]);
        if (id.dtype !== "i32") id = build.apply(castOp, [id], "i32");
        const low = build.apply(maximumOp, [id, build.constant(0, "i32")], "i32");
        const clamped = build.apply(minimumOp, [low, build.constant(rows - 1, "i32")], "i32");
        const loaded = input(0, [fromValue(clamped, rows, clamped.key), index[1]!]);
        const inRange = { index: fromValue(id, 2 ** 31, id.key), low: 0, high: rows };
        return build.guard([inRange], loaded, isFloat(dtype) ? Number.NaN : 0);
      }
      case "reduce": {
        const stage = stageOf?.get(at);
        if (stage === undefined) throw new Error(`${op.name} is read before its stage`);
        return build.stage(stage, dtype);
      }
      case "contract":
        if (group.kind === "loop") return build.constant(0, dtype);
        return build.stage(0, dtype);
      default:
        throw new Error(`${op.name} has no buffer`);
    }
  }
}

const last = (group: Group): number => Math.max(...group.members.keys());

/** Conditions that are not known to hold; "never" when one cannot. */
function openConditions(conditions: readonly Condition[]): Condition[] | "never" {
  const open: Condition[] = [];
  for (const condition of conditions) {
    const { min, max } = range(condition.index);
    if (max < condition.low || min >= condition.high) return "never";
    if (min < condition.low || max >= condition.high) open.push(condition);
  }
  return open;
}

function strideIsZero(expr: Expr, id: number): boolean {
  if (expr.kind === "load") return strideOf(expr.index, id) === 0;
  if (expr.kind === "guard")
    return expr.conditions.every((c) => strideOf(c.index, id) === 0) && strideIsZero(expr.value, id);
  return expr.kind === "constant";
}

/** One loop variable per axis that is longer than 1. */
function separate(group: Group, outer: readonly number[], inner: readonly number[]): Space {
  const long = [...outer, ...inner].filter((n) => n !== 1);
  return merged(
    group,
    outer,
    inner,
    outer.filter((n) => n !== 1),
    long.slice(outer.filter((n) => n !== 1).length),
  );
}

/** Loop variables over runs of neighbouring axes. */
function merged(
  group: Group,
  outer: readonly number[],
  inner: readonly number[],
  outerLoops: readonly number[],
  innerLoops: readonly number[],
): Space {
  const outerVariables = outerLoops.map((size, i) => axis(i, size));
  const innerVariables = innerLoops.map((size, i) => axis(outerLoops.length + i, size));
  const outerIndex = unflatten(flatten(outerVariables, outerLoops), outer);
  const innerIndex = unflatten(flatten(innerVariables, innerLoops), inner);
  let nextOuter = 0;
  let nextInner = 0;
  const full =
    group.axes.length === 0
      ? outerIndex
      : group.full.map((_, i) => (group.axes.includes(i) ? innerIndex[nextInner++]! : outerIndex[nextOuter++]!));
  const outerPosition = flatten(outerIndex, outer);
  const fullPosition = flatten(full, group.full);
  return {
    outer: outerLoops,
    inner: innerLoops,
    index: (shape, level) => unflatten(level === "outer" ? outerPosition : fullPosition, shape),
  };
}

/** Which neighbouring loop axes can be walked as one: everywhere, a step of the left is a whole round of the right. */
function mergeAxes(kernel: LoopKernel): [number[], number[]] {
  const indices = collectIndices(kernel);
  const sizes = [...kernel.outer, ...kernel.inner];
  const joins = (i: number): boolean =>
    indices.every((index) => {
      const [left, right] = [strideOf(index, i), strideOf(index, i + 1)];
      return left !== null && right !== null && left === right * sizes[i + 1]!;
    });
  const merge = (from: number, to: number): number[] => {
    const loops: number[] = [];
    for (let i = from; i < to; i++) {
      if (i > from && joins(i - 1)) loops.push(loops.pop()! * sizes[i]!);
      else loops.push(sizes[i]!);
    }
    return loops;
  };
  return [merge(0, kernel.outer.length), merge(kernel.outer.length, sizes.length)];
}

function collectIndices(kernel: LoopKernel): Linear[] {
  const found: Linear[] = [];
  const seen = new Set<string>();
  const visitIndex = (index: Linear): void => {
    found.push(index);
    for (const { atom } of index.terms) if (atom.kind === "value") visit(atom.value);
  };
  const visit = (expr: Expr): void => {
    if (seen.has(expr.key)) return;
    seen.add(expr.key);
    if (expr.kind === "load" || expr.kind === "index") visitIndex(expr.index);
    else if (expr.kind === "guard") {
      for (const condition of expr.conditions) visitIndex(condition.index);
      visit(expr.value);
    } else if (expr.kind === "apply") for (const arg of expr.args) visit(arg);
  };
  for (const stage of kernel.stages) {
    visit(stage.value);
    if (stage.kind === "store") visitIndex(stage.index);
  }
  return found;
}
