/**
 * From inputs to users: which group a node belongs to. Reductions, contractions and hand-written kernels each start a
 * group; elementwise nodes join the group that produces their input when they need it at the very index where it is
 * made; everything else floats, that is, is computed inside whoever reads it.
 */
import type { ProgramNode } from "../graph/program.ts";
import { sizeOf } from "../shape.ts";
import { type Group, indexIn, type Level, loopIndex, same } from "./group.ts";
import { type Grouping, isPointwise } from "./grouping.ts";
import { mayRead, probe, type Reads } from "./probe.ts";

/**
 * How deep an expression may become, in costs of its ops, before it is stored on the way: renderers walk expressions
 * recursively, and shader compilers are no better with thousands of nested operations.
 */
const DEEPEST = 400;

/** Gives every node of a program its group, or leaves it floating. */
export function place(grouping: Grouping): void {
  new Placement(grouping).placeAll();
}

class Placement {
  readonly #g: Grouping;
  /** Cost of the longest chain of ops below a node, down to a leaf, a reduction, a product or a deep node. */
  readonly #depths: number[] = [];
  /** What each node is made from elementwise: leaves, products, reductions, results of kernels. */
  readonly #rootsOf: ReadonlySet<number>[] = [];
  /** Groups with a reduction over something made from a root. */
  readonly #reducing = new Map<number, Set<Group>>();

  constructor(grouping: Grouping) {
    this.#g = grouping;
  }

  placeAll(): void {
    this.#g.program.nodes.forEach((node, at) => {
      const named = this.#g.resolve(at);
      if (named !== at) {
        this.#depths.push(this.#depths[named]!);
        this.#g.basesOf.push(this.#g.basesOf[named]!);
        this.#g.frontiers.push(this.#g.frontiers[named]!);
        this.#rootsOf.push(this.#rootsOf[named]!);
        return;
      }
      this.#depths.push(this.#depthOf(node));
      if (node.leaf < 0) this.#place(node, at);
      this.#g.basesOf.push(this.#limitBases(node, at));
      if (this.#depths[at]! > DEEPEST && !this.#g.groupOf.has(at)) this.#cut(at);
      const group = this.#g.groupOf.get(at);
      this.#g.frontiers.push(group ? new Set([group]) : this.#union(node, this.#g.frontiers));
      this.#rootsOf.push(isPointwise(node) && !this.#g.deep.has(at) ? this.#union(node, this.#rootsOf) : new Set([at]));
    });
  }

  #place(node: ProgramNode, at: number): void {
    switch (node.op.kind) {
      case "contract":
        this.#g.start("contract", at, node.shape, node.shape, []);
        return;
      case "kernel":
        this.#g.start("custom", at, [], [], []);
        return;
      case "pick": {
        const group = this.#g.groupOf.get(node.inputs[0]!)!;
        this.#g.groupOf.set(at, group);
        return;
      }
      case "reduce":
        this.#placeReduction(node, at);
        return;
      case "elementwise":
        this.#placeElementwise(node, at);
        return;
      default:
    }
  }

  #placeReduction(node: ProgramNode, at: number): void {
    const axes = node.attributes.axes as readonly number[];
    const input = this.#g.resolve(node.inputs[0]!);
    const full = this.#g.node(input).shape;
    const roots = this.#roots(input);
    // Groups that make part of what is reduced, or walk over the same data anyway.
    const sharing = new Set<Group>(roots.flatMap((root) => [...(this.#reducing.get(root) ?? [])]));
    const candidates = new Set([...this.#g.frontiers[input]!, ...sharing]);
    for (const group of [...candidates].sort((a, b) => b.id - a.id)) {
      if (group.kind !== "loop" || group.axes.length === 0 || !same(group.full, full) || !same(group.axes, axes))
        continue;
      const reads = probe(this.#g, input, loopIndex(group).full, group);
      if (!reads || !(reads.inside || sharing.has(group)) || !mayRead(this.#g, group, reads, at)) continue;
      for (const root of roots) this.#noteReducing(root, group);
      this.#join(group, at, "outer", reads);
      return;
    }
    const outer = full.filter((_, i) => !axes.includes(i));
    const group = this.#g.start("loop", at, outer, full, axes);
    for (const root of roots) this.#noteReducing(root, group);
  }

  #noteReducing(root: number, group: Group): void {
    const groups = this.#reducing.get(root);
    if (groups) groups.add(group);
    else this.#reducing.set(root, new Set([group]));
  }

  /** The leaves, contractions, reductions and kernels of its own size that a value is made from. */
  #roots(at: number): number[] {
    const size = sizeOf(this.#g.node(at).shape);
    return [...this.#rootsOf[at]!].filter((root) => sizeOf(this.#g.node(root).shape) >= size);
  }

  #placeElementwise(node: ProgramNode, at: number): void {
    const size = sizeOf(node.shape);
    if (size === 0 || this.#depths[at]! > DEEPEST) return;
    const candidates = this.#union(node, this.#g.frontiers);
    for (const group of [...candidates].sort((a, b) => b.id - a.id)) {
      if (group.kind === "custom") continue;
      for (const level of ["inner", "outer"] as const) {
        if (level === "inner" && group.axes.length === 0) continue;
        const space = level === "outer" ? group.outer : group.full;
        if (sizeOf(space) !== size) continue;
        const reads = probe(this.#g, at, indexIn(group, node.shape, level), group);
        if (!reads?.inside || !mayRead(this.#g, group, reads, at)) continue;
        this.#join(group, at, level, reads);
        return;
      }
    }
  }

  #join(group: Group, at: number, level: Level, reads: Reads): void {
    group.members.set(at, level);
    this.#g.groupOf.set(at, group);
    for (const other of reads.groups) if (other !== group) this.#g.follow(group, other);
    for (const base of reads.bases) group.bases.add(base);
  }

  /** Bases of a node; inputs with many are stored first, so that no kernel has to bind more than the device can. */
  #limitBases(node: ProgramNode, at: number): Set<number> {
    if (node.leaf >= 0 || this.#g.groupOf.has(at)) return new Set([at]);
    const inputs = node.inputs.map((input) => this.#g.resolve(input));
    const union = (): Set<number> => new Set(inputs.flatMap((input) => [...this.#g.basesOf[input]!]));
    // Room for the result and for those of a few more values.
    const most = Math.max(2, this.#g.maxBindings - this.#g.bindings[at]! - 3);
    let bases = union();
    while (this.#g.count(bases) > most) {
      const gain = (input: number): number => this.#g.count(this.#g.basesOf[input]!) - this.#g.bindings[input]!;
      const largest = inputs.reduce((a, b) => (gain(b) > gain(a) ? b : a));
      if (this.#g.basesOf[largest]!.size <= 1) break;
      this.#g.forced.add(largest);
      this.#g.basesOf[largest] = new Set([largest]);
      bases = union();
    }
    return bases;
  }

  #depthOf(node: ProgramNode): number {
    if (!isPointwise(node) && (node.leaf >= 0 || node.op.kind !== "take")) return 0;
    const own = node.op.kind === "elementwise" ? Math.max(1, node.op.cost ?? 1) : 1;
    return node.inputs.reduce((most, input) => Math.max(most, this.#depths[this.#g.resolve(input)]!), 0) + own;
  }

  #cut(at: number): void {
    this.#g.deep.add(at);
    this.#g.forced.add(at);
    this.#depths[at] = 0;
    this.#g.basesOf[at] = new Set([at]);
  }

  /** What a node's inputs have, together; their own set where one of them has it all. */
  #union<T>(node: ProgramNode, of: readonly ReadonlySet<T>[]): ReadonlySet<T> {
    let whole: ReadonlySet<T> = new Set();
    for (const input of node.inputs) {
      const part = of[this.#g.resolve(input)]!;
      if (part === whole) continue;
      const [more, less] = part.size > whole.size ? [part, whole] : [whole, part];
      let joined: Set<T> | null = null;
      for (const item of less) if (!more.has(item)) (joined ??= new Set(more)).add(item);
      whole = joined ?? more;
    }
    return whole;
  }
}
