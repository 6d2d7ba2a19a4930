/** From groups of nodes to kernels over buffers. */
import type { Program } from "../graph/program.ts";
import { type Expr, ExprBuilder } from "../ir/expr.ts";
import type { Kernel, LoopKernel, Operand, Schedule, Stage, Store } from "../ir/kernel.ts";
import { axis, div, flatten, type Linear, mod, strideOf, unflatten } from "../ir/linear.ts";
import { sizeOf } from "../shape.ts";
import { Buffers } from "./buffers.ts";
import { Elements } from "./elements.ts";
import type { Group } from "./group.ts";
import type { Grouping, ScheduleOptions } from "./grouping.ts";
import { groupNodes } from "./groups.ts";
import { buffersOf } from "./memory.ts";
import { orderOf, storesOf } from "./order.ts";
import { mergeAxes, merged, type Space, separate } from "./space.ts";

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
    const lowering = new Lowering(options, groupNodes(program, smaller, held));
    const schedule = lowering.schedule();
    if (lowering.excess.size === 0 || most <= FEWEST) return schedule;
    for (const [anchor, excess] of lowering.excess) held.set(anchor, (held.get(anchor) ?? 0) + excess);
    if (round < PATIENCE) continue;
    held.clear();
    most--;
  }
}

class Lowering {
  readonly #program: Program;
  readonly #grouping: Grouping;
  readonly #buffers: Buffers;
  readonly #kernels: Kernel[] = [];
  readonly #options: ScheduleOptions;
  /** Anchors of groups whose kernels touch too much, with how much too much. */
  readonly excess = new Map<number, number>();

  constructor(options: ScheduleOptions, grouping: Grouping) {
    this.#program = grouping.program;
    this.#options = options;
    this.#grouping = grouping;
    this.#buffers = new Buffers(grouping);
  }

  schedule(): Schedule {
    const { nodes, outputs } = this.#program;
    const grouping = this.#grouping;
    const buffers = this.#buffers;
    const copies: { from: number; position: number }[] = [];
    nodes.forEach((node, at) => {
      if (node.leaf >= 0) buffers.give(at, "input", node.leaf);
    });
    outputs.forEach((output, position) => {
      const from = grouping.resolve(output);
      if (buffers.of(from) !== undefined) copies.push({ from, position });
      else buffers.give(buffers.base(from), "output", position);
    });
    for (const at of [...grouping.stored].sort((a, b) => a - b)) {
      if (buffers.of(at) === undefined) buffers.give(at, "temporary", -1);
    }
    for (const group of orderOf(grouping)) this.#emit(group);
    for (const { from, position } of copies) this.#emitCopy(from, position);
    return { buffers: buffers.specs, kernels: this.#kernels };
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
    const touched = [...new Set([...reads, ...writes])].map((at) => this.#buffers.specs[at]!);
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
      buffer: this.#buffers.of(at)!,
      shape: this.#program.nodes[at]!.shape,
      dtype: this.#program.nodes[at]!.dtype,
    });
    const inputs = node.inputs.map((input, i): Operand => {
      const at = this.#grouping.resolve(input);
      const found = this.#grouping.viewOf(node, i);
      if (!found) return operand(at);
      const { shape, dtype } = this.#program.nodes[at]!;
      return { buffer: this.#buffers.of(found.base)!, shape, dtype, view: found.view };
    });
    const picked = new Map(
      storesOf(this.#grouping, group).map((at) => [this.#program.nodes[at]!.attributes.index as number, at]),
    );
    const outputs = node.outputs!.map((spec, index): Operand => {
      const at = picked.get(index);
      if (at !== undefined) return operand(at);
      // Nobody reads this output; the kernel still writes it.
      const buffer =
        this.#buffers.specs.push({ dtype: spec.dtype, size: sizeOf(spec.shape), role: "temporary", position: -1 }) - 1;
      return { buffer, shape: spec.shape, dtype: spec.dtype };
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
    const elements = new Elements(this.#grouping, this.#buffers, group);
    const inner = axis(3, k);
    const right = (index: readonly Linear[]): Expr => elements.at(b, [...index, inner, axis(2, n)]);
    // A right operand that is the same for the whole batch: one tall product instead of many small ones.
    const shared = batch > 1 && strideIsZero(right(unflatten(axis(0, batch), batchShape)), 0);
    const row = axis(1, shared ? batch * m : m);
    const batchIndex = unflatten(shared ? div(row, m) : axis(0, batch), batchShape);
    const rowIndex = shared ? mod(row, m) : row;
    const position = flatten([...batchIndex, rowIndex, axis(2, n)], node.shape);
    const stores = storesOf(this.#grouping, group).map((at): Store => {
      const index = unflatten(position, this.#program.nodes[at]!.shape);
      return this.#store(at, index, elements.computed(at, index));
    });
    this.#kernels.push({
      kind: "contract",
      name: this.#nameOf(group),
      batch: shared ? 1 : batch,
      rows: shared ? batch * m : m,
      columns: n,
      sum: k,
      a: elements.at(a, [...batchIndex, rowIndex, inner]),
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
    const elements = new Elements(this.#grouping, this.#buffers, group);
    const stages: Stage[] = [];
    const members = [...group.members].sort(([x], [y]) => x - y);
    for (const [at] of members) {
      const { op, dtype, inputs } = this.#program.nodes[at]!;
      if (op.kind !== "reduce") continue;
      const input = this.#grouping.resolve(inputs[0]!);
      const value = elements.at(input, space.index(this.#program.nodes[input]!.shape, "inner"));
      elements.stageOf.set(at, stages.length);
      stages.push({ kind: "reduce", op, value, dtype });
    }
    for (const level of ["outer", "inner"] as const) {
      for (const [at, own] of members) {
        if (own !== level || !this.#grouping.stored.has(at)) continue;
        const index = space.index(this.#program.nodes[at]!.shape, level);
        const value = elements.computed(at, index);
        stages.push({ kind: "store", level, ...this.#store(at, index, value) });
      }
    }
    return { kind: "loop", name: this.#nameOf(group), outer: space.outer, inner: space.inner, stages };
  }

  #emitCopy(from: number, position: number): void {
    const { shape } = this.#program.nodes[from]!;
    const buffer = this.#buffers.add(from, "output", position);
    const n = sizeOf(shape);
    const build = new ExprBuilder();
    const at = axis(0, n);
    const value = build.load(this.#buffers.of(from)!, at, this.#program.nodes[from]!.dtype);
    const store: Stage = { kind: "store", level: "outer", buffer, index: at, value };
    this.#kernels.push({ kind: "loop", name: "copy", outer: n === 1 ? [] : [n], inner: [], stages: [store] });
  }

  #store(at: number, index: readonly Linear[], value: Expr): Store {
    return {
      buffer: this.#buffers.of(at)!,
      index: flatten(index, this.#program.nodes[at]!.shape),
      value,
    };
  }
}

function strideIsZero(expr: Expr, id: number): boolean {
  if (expr.kind === "load") return strideOf(expr.index, id) === 0;
  if (expr.kind === "guard")
    return expr.conditions.every((c) => strideOf(c.index, id) === 0) && strideIsZero(expr.value, id);
  return expr.kind === "constant";
}
