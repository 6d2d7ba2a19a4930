/**
 * Which nodes share a kernel. Reductions, contractions and hand-written kernels each start a group; elementwise nodes
 * join the group that produces their input when they need it at the very index where it is made; everything else
 * floats, that is, is computed inside whoever reads it. A last pass, from users to inputs, decides what is stored.
 */
import type { Program, ProgramNode } from "../graph/program.ts";
import { symbolic } from "../ir/index-algebra.ts";
import { axis, flatten, type Linear, unflatten } from "../ir/linear.ts";
import type { DeviceLimits, StridedView } from "../op.ts";
import { sizeOf } from "../shape.ts";
import { Precedence } from "./precedence.ts";
import { stridedView } from "./strided-view.ts";

/** How many multiply-adds may be done again to save storing a value that several kernels need. */
const CHEAP = 32;

export type Level = "outer" | "inner";

/** `maxKernelBuffers`: greatest number of buffers one kernel may touch; `bindingsOf`: for how many of those one counts. */
export type ScheduleOptions = DeviceLimits;

/**
 * How deep an expression may become, in costs of its ops, before it is stored on the way: renderers walk expressions
 * recursively, and shader compilers are no better with thousands of nested operations.
 */
const DEEPEST = 400;

/** Reductions in one kernel: the wasm renderer tells which a value needs by the bits of half a word. */
const MAX_REDUCES = 16;

export type Group = {
  readonly id: number;
  readonly kind: "loop" | "contract" | "custom";
  /** The node that started the group. */
  readonly anchor: number;
  /** Loop space: one iteration per outer index; reductions run over inner. `full` is the shape before reducing. */
  readonly outer: readonly number[];
  readonly full: readonly number[];
  readonly axes: readonly number[];
  readonly members: Map<number, Level>;
  /** Groups whose results this one reads; added by `Grouping.follow`. */
  readonly after: Set<Group>;
  /** Stored nodes that it reads, for the limit on buffers. */
  readonly bases: Set<number>;
};

export class Grouping {
  readonly program: Program;
  readonly groups: Group[] = [];
  readonly groupOf = new Map<number, Group>();
  /** Nodes that get a buffer. */
  readonly stored = new Set<number>();
  /** Groups that compute a stored node again: its own kernel needs what they make. */
  readonly again = new Map<number, Set<Group>>();
  /** Floating nodes that are stored because a kernel could not bind everything that they are made from. */
  readonly #forced = new Set<number>();
  /** Those of them that are stored because what they are made of is too deep: each has a kernel of its own. */
  readonly #deep = new Set<number>();
  /** Cost of the longest chain of ops below a node, down to a leaf, a reduction, a product or a deep node. */
  readonly #depths: number[] = [];
  /** Groups of the nearest placed nodes at or below each node. */
  readonly #frontiers: ReadonlySet<Group>[] = [];
  /** What each node is made from elementwise: leaves, products, reductions, results of kernels. */
  readonly #rootsOf: ReadonlySet<number>[] = [];
  /** Groups with a reduction over something made from a root. */
  readonly #reducing = new Map<number, Set<Group>>();
  /** Members that are stored because other groups compute what is made from them again. */
  readonly #parts = new Set<number>();
  readonly #precedence = new Precedence();
  /** What a floating node reads: leaves, placed and forced nodes. */
  readonly #basesOf: Set<number>[] = [];
  /** Nodes that are another node's buffer under another shape. */
  readonly aliases = new Map<number, number>();
  readonly #users: number[][];
  readonly #maxBindings: number;
  /** How many bindings each node's buffer takes. */
  readonly #bindings: readonly number[];
  readonly #isOutput: ReadonlySet<number>;
  readonly #device: string;
  readonly #held: ReadonlyMap<number, number>;

  /** `held`: by how many bindings the groups that start at some nodes must stay below the limit. */
  constructor(
    program: Program,
    { name, maxKernelBuffers, bindingsOf }: ScheduleOptions,
    held: ReadonlyMap<number, number> = new Map(),
  ) {
    this.program = program;
    this.#device = name;
    this.#held = held;
    this.#maxBindings = maxKernelBuffers;
    this.#bindings = program.nodes.map(({ dtype, shape }) => bindingsOf?.(dtype, sizeOf(shape)) ?? 1);
    this.#isOutput = new Set(program.outputs.map((at) => this.resolve(at)));
    this.#users = program.nodes.map(() => []);
    program.nodes.forEach((node, at) => {
      for (const input of node.inputs) this.#users[this.resolve(input)]!.push(at);
    });
    program.nodes.forEach((node, at) => {
      const same = this.resolve(at);
      if (same !== at) {
        this.#depths.push(this.#depths[same]!);
        this.#basesOf.push(this.#basesOf[same]!);
        this.#frontiers.push(this.#frontiers[same]!);
        this.#rootsOf.push(this.#rootsOf[same]!);
        return;
      }
      this.#depths.push(this.#depthOf(node));
      if (node.leaf < 0) this.#place(node, at);
      this.#basesOf.push(this.#limitBases(node, at));
      if (this.#depths[at]! > DEEPEST && !this.groupOf.has(at)) this.#cut(at);
      const group = this.groupOf.get(at);
      this.#frontiers.push(group ? new Set([group]) : this.#union(node, this.#frontiers));
      this.#rootsOf.push(isPointwise(node) && !this.#deep.has(at) ? this.#union(node, this.#rootsOf) : new Set([at]));
    });
    this.#decideStores();
  }

  /** Whether a walk from users to inputs can come to a value by two ways. */
  isShared(at: number): boolean {
    return this.#users[at]!.length > 1;
  }

  node(at: number): ProgramNode {
    return this.program.nodes[at]!;
  }

  /** Follows ops that only name a value again. */
  resolve(at: number): number {
    let node = this.program.nodes[at]!;
    while (node.leaf < 0 && node.op.kind === "elementwise" && node.op.identity) {
      at = node.inputs[0]!;
      node = this.program.nodes[at]!;
    }
    return at;
  }

  /** Where in its group's loop space a member's element lies. */
  indexIn(group: Group, at: number, level: Level): readonly Linear[] {
    const loops = loopIndex(group);
    const shape = this.node(at).shape;
    if (same(shape, level === "outer" ? group.outer : group.full)) return loops[level === "outer" ? "outer" : "full"];
    return unflatten(level === "outer" ? loops.outerAt : loops.fullAt, shape);
  }

  #depthOf(node: ProgramNode): number {
    if (!isPointwise(node) && (node.leaf >= 0 || node.op.kind !== "take")) return 0;
    const own = node.op.kind === "elementwise" ? Math.max(1, node.op.cost ?? 1) : 1;
    return node.inputs.reduce((most, input) => Math.max(most, this.#depths[this.resolve(input)]!), 0) + own;
  }

  #cut(at: number): void {
    this.#deep.add(at);
    this.#forced.add(at);
    this.#depths[at] = 0;
    this.#basesOf[at] = new Set([at]);
  }

  /** What a node's inputs have, together; their own set where one of them has it all. */
  #union<T>(node: ProgramNode, of: readonly ReadonlySet<T>[]): ReadonlySet<T> {
    let whole: ReadonlySet<T> = new Set();
    for (const input of node.inputs) {
      const part = of[this.resolve(input)]!;
      if (part === whole) continue;
      const [more, less] = part.size > whole.size ? [part, whole] : [whole, part];
      let joined: Set<T> | null = null;
      for (const item of less) if (!more.has(item)) (joined ??= new Set(more)).add(item);
      whole = joined ?? more;
    }
    return whole;
  }

  /** `group` reads what `other` makes. */
  #follow(group: Group, other: Group): void {
    group.after.add(other);
    this.#precedence.add(other.id, group.id);
  }

  /** True when `from` runs after `to`, directly or through others. */
  #reaches(from: Group, to: Group): boolean {
    return from === to || this.#precedence.has(to.id, from.id);
  }

  #place(node: ProgramNode, at: number): void {
    switch (node.op.kind) {
      case "contract":
        this.#start("contract", at, node.shape, node.shape, []);
        return;
      case "kernel":
        this.#start("custom", at, [], [], []);
        return;
      case "pick": {
        const group = this.groupOf.get(node.inputs[0]!)!;
        this.groupOf.set(at, group);
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

  #start(
    kind: Group["kind"],
    anchor: number,
    outer: readonly number[],
    full: readonly number[],
    axes: readonly number[],
  ): Group {
    const group: Group = {
      id: this.groups.length,
      kind,
      anchor,
      outer,
      full,
      axes,
      members: new Map([[anchor, "outer"]]),
      after: new Set(),
      bases: new Set(),
    };
    this.groups.push(group);
    this.groupOf.set(anchor, group);
    for (const input of this.node(anchor).inputs) this.#noteReads(group, this.resolve(input));
    return group;
  }

  /** Bases of a node; inputs with many are stored first, so that no kernel has to bind more than the device can. */
  #limitBases(node: ProgramNode, at: number): Set<number> {
    if (node.leaf >= 0 || this.groupOf.has(at)) return new Set([at]);
    const inputs = node.inputs.map((input) => this.resolve(input));
    const union = (): Set<number> => new Set(inputs.flatMap((input) => [...this.#basesOf[input]!]));
    // Room for the result and for those of a few more values.
    const most = Math.max(2, this.#maxBindings - this.#bindings[at]! - 3);
    let bases = union();
    while (this.#count(bases) > most) {
      const gain = (input: number): number => this.#count(this.#basesOf[input]!) - this.#bindings[input]!;
      const largest = inputs.reduce((a, b) => (gain(b) > gain(a) ? b : a));
      if (this.#basesOf[largest]!.size <= 1) break;
      this.#forced.add(largest);
      this.#basesOf[largest] = new Set([largest]);
      bases = union();
    }
    return bases;
  }

  #placeReduction(node: ProgramNode, at: number): void {
    const axes = node.attributes.axes as readonly number[];
    const input = this.resolve(node.inputs[0]!);
    const full = this.node(input).shape;
    const roots = this.#roots(input);
    // Groups that make part of what is reduced, or walk over the same data anyway.
    const sharing = new Set<Group>(roots.flatMap((root) => [...(this.#reducing.get(root) ?? [])]));
    const candidates = new Set([...this.#frontiers[input]!, ...sharing]);
    for (const group of [...candidates].sort((a, b) => b.id - a.id)) {
      if (group.kind !== "loop" || group.axes.length === 0 || !same(group.full, full) || !same(group.axes, axes))
        continue;
      const reads = this.#probe(input, loopIndex(group).full, group);
      if (!reads || !(reads.inside || sharing.has(group)) || !this.#mayRead(group, reads, at)) continue;
      for (const root of roots) this.#noteReducing(root, group);
      this.#join(group, at, "outer", reads);
      return;
    }
    const outer = full.filter((_, i) => !axes.includes(i));
    const group = this.#start("loop", at, outer, full, axes);
    for (const root of roots) this.#noteReducing(root, group);
  }

  #noteReducing(root: number, group: Group): void {
    const groups = this.#reducing.get(root);
    if (groups) groups.add(group);
    else this.#reducing.set(root, new Set([group]));
  }

  /** The leaves, contractions, reductions and kernels of its own size that a value is made from. */
  #roots(at: number): number[] {
    const size = sizeOf(this.node(at).shape);
    return [...this.#rootsOf[at]!].filter((root) => sizeOf(this.node(root).shape) >= size);
  }

  #placeElementwise(node: ProgramNode, at: number): void {
    const size = sizeOf(node.shape);
    if (size === 0 || this.#depths[at]! > DEEPEST) return;
    const candidates = this.#union(node, this.#frontiers);
    for (const group of [...candidates].sort((a, b) => b.id - a.id)) {
      if (group.kind === "custom") continue;
      for (const level of ["inner", "outer"] as const) {
        if (level === "inner" && group.axes.length === 0) continue;
        const space = level === "outer" ? group.outer : group.full;
        if (sizeOf(space) !== size) continue;
        const reads = this.#probe(at, this.indexIn(group, at, level), group);
        if (!reads?.inside || !this.#mayRead(group, reads, at)) continue;
        this.#join(group, at, level, reads);
        return;
      }
    }
  }

  /**
   * What computing node `at` at `index` inside `group` would read: null when it needs a value of the group at another
   * index than the one where the group makes it.
   */
  #probe(at: number, index: readonly Linear[], group: Group): Reads | null {
    const reads: Reads = { inside: false, groups: new Set(), bases: new Set() };
    const seen = new Set<string>();
    const visit = (n: number, where: readonly Linear[]): boolean => {
      if (this.isShared(n)) {
        const key = `${n} ${where.map((i) => i.key).join(" ")}`;
        if (seen.has(key)) return true;
        seen.add(key);
      }
      const node = this.node(n);
      const owner = this.groupOf.get(n);
      if (owner === group) {
        reads.inside = true;
        const made = this.indexIn(group, n, group.members.get(n)!);
        return made.every((part, i) => part.key === where[i]!.key);
      }
      if (owner || node.leaf >= 0) {
        if (owner) reads.groups.add(owner);
        reads.bases.add(n);
        return true;
      }
      if (this.#forced.has(n)) {
        this.#readsOf(n, reads);
        return !this.#touches(n, group);
      }
      if (node.op.kind === "take") {
        const [table, ids] = [this.resolve(node.inputs[0]!), this.resolve(node.inputs[1]!)];
        if (this.groupOf.get(table) === group) return false;
        this.#readsOf(table, reads);
        if (this.#touches(table, group)) return false;
        return visit(ids, [where[0]!]);
      }
      if (node.op.kind === "view") {
        const input = this.resolve(node.inputs[0]!);
        const source = this.node(input).shape;
        return visit(input, node.op.map(symbolic, where, source, node.shape, node.attributes).index);
      }
      return node.inputs.every((input) => visit(this.resolve(input), where));
    };
    return visit(at, index) ? reads : null;
  }

  #readsOf(at: number, reads: Reads): void {
    for (const group of this.#frontiers[at]!) reads.groups.add(group);
    reads.bases.add(at);
  }

  #touches(at: number, group: Group): boolean {
    return this.#frontiers[at]!.has(group);
  }

  /** No cycle would arise, and the kernel would not need more buffers than the device can bind. */
  #mayRead(group: Group, reads: Reads, at: number): boolean {
    const limit = this.#limit(group);
    let bindings = this.#count(group.bases) + this.#bindings[at]!;
    for (const base of reads.bases) if (!group.bases.has(base)) bindings += this.#bindings[base]!;
    // (Which members may be stored is looked up only when it matters.)
    const most = bindings + this.#count(group.members.keys());
    if (most > limit && bindings + this.#storesOf(group, at) > limit) return false;
    let reduces = 0;
    for (const member of group.members.keys()) {
      if (this.node(member).op.kind === "reduce" && ++reduces >= MAX_REDUCES) return false;
    }
    for (const other of reads.groups) if (other !== group && this.#reaches(other, group)) return false;
    return true;
  }

  #limit(group: Group): number {
    return this.#maxBindings - (this.#held.get(group.anchor) ?? 0);
  }

  /** Bindings for the buffers of these nodes. */
  #count(nodes: Iterable<number>): number {
    let sum = 0;
    for (const at of nodes) sum += this.#bindings[at]!;
    return sum;
  }

  /** Bindings for the members that may be stored once `joining` has joined the group. */
  #storesOf(group: Group, joining: number): number {
    return this.#count([...group.members.keys()].filter((member) => this.#mayBeStored(member, group, joining)));
  }

  /** Whether something outside the group (which `joining` is about to join) may want a member's value. */
  #mayBeStored(member: number, group: Group, joining: number): boolean {
    if (this.#isOutput.has(member) || this.#parts.has(member)) return true;
    return this.#users[member]!.some((user) => {
      if (user === joining || group.members.has(user)) return false;
      const node = this.node(user);
      // (Users of an op that only names the value again are counted as the value's own.)
      if (this.resolve(user) !== user) return false;
      return node.op.kind === "view" && !this.#deep.has(user) ? this.#mayBeStored(user, group, joining) : true;
    });
  }

  #join(group: Group, at: number, level: Level, reads: Reads): void {
    group.members.set(at, level);
    this.groupOf.set(at, group);
    for (const other of reads.groups) if (other !== group) this.#follow(group, other);
    for (const base of reads.bases) group.bases.add(base);
  }

  #noteReads(group: Group, at: number): void {
    for (const other of this.#frontiers[at]!) if (other !== group) this.#follow(group, other);
    for (const base of this.#basesOf[at]!) group.bases.add(base);
  }

  /** From users to inputs: which values are stored, and which are computed again in every kernel that reads them. */
  #decideStores(): void {
    const readers = this.program.nodes.map(() => new Set<Group>());
    const required = new Set<number>([...this.#isOutput, ...this.#forced]);
    /** Buffers that are an output under another shape already. */
    const outputAliases = new Set<number>();
    const pass = (at: number, to: Iterable<Group>): void => {
      for (const input of this.node(at).inputs) for (const group of to) readers[this.resolve(input)]!.add(group);
    };
    for (let at = this.program.nodes.length - 1; at >= 0; at--) {
      const node = this.node(at);
      if (node.leaf >= 0 || this.resolve(at) !== at) continue;
      const who = readers[at]!;
      const own = this.groupOf.get(at);
      const used = who.size > 0 || required.has(at);
      if (!used && !(own?.kind === "custom")) continue;
      const outside = [...who].filter((group) => group !== own);
      const kind = node.op.kind;
      if (kind === "pick") {
        this.stored.add(at);
        readers[this.resolve(node.inputs[0]!)]!.add(own!);
        continue;
      }
      if (kind === "kernel") {
        if (who.size === 0) continue;
        node.inputs.forEach((input, i) => {
          const from = this.viewOf(node, i)?.base ?? this.resolve(input);
          required.add(from);
          readers[from]!.add(own!);
        });
        continue;
      }
      if (kind === "contract" || kind === "reduce") {
        if (required.has(at) || outside.length > 0) this.stored.add(at);
        for (const input of node.inputs) {
          if (kind === "contract") required.add(this.#operandBase(this.resolve(input)));
        }
        pass(at, [own!]);
        continue;
      }
      if (kind === "view" && required.has(at)) {
        const input = this.resolve(node.inputs[0]!);
        const free = this.node(input).leaf < 0 && !this.#isOutput.has(input) && !outputAliases.has(input);
        if (node.op.keepsOrder && free) {
          if (this.#isOutput.has(at) || outputAliases.has(at)) outputAliases.add(input);
          this.aliases.set(at, input);
          required.add(input);
          pass(at, who);
          continue;
        }
      }
      if (kind === "take") required.add(this.#tableOf(node));
      const store =
        required.has(at) ||
        (outside.length > 0 && (own ? !this.#repeat(at, outside) : outside.length > 1 && this.#cost(at) > CHEAP));
      if (!store) {
        pass(at, who);
        continue;
      }
      this.stored.add(at);
      if (own) {
        pass(at, [own]);
        continue;
      }
      const home = this.#home(at, who);
      // Values stored on the way can be more than what they are made from, which was known to fit.
      if (!this.#forced.has(at)) for (const group of who) if (this.#held.has(group.anchor)) this.#repeatIn(at, group);
      pass(at, [home, ...(this.again.get(at) ?? [])]);
    }
  }

  #repeatIn(at: number, group: Group): void {
    if (group === this.groupOf.get(at)) return;
    const groups = this.again.get(at);
    if (groups) groups.add(group);
    else this.again.set(at, new Set([group]));
  }

  /** Where a hand-written kernel can read an argument that is a view; null where it needs one buffer for the argument. */
  viewOf({ op, inputs }: ProgramNode, input: number): { base: number; view: StridedView } | null {
    if (op.kind !== "kernel" || !op.readsView) return null;
    const found = stridedView(this.program, (at) => this.resolve(at), inputs[input]!);
    // What is not stored anyway would be stored whole for a part.
    if (!found || (this.node(found.base).leaf < 0 && !this.groupOf.has(found.base))) return null;
    return op.readsView(input, found.view, this.#device) ? found : null;
  }

  #tableOf(node: ProgramNode): number {
    return this.#operandBase(this.resolve(node.inputs[0]!));
  }

  /** Through views, the node whose buffer a contraction (or a lookup) reads. */
  #operandBase(at: number): number {
    let node = this.node(at);
    while (node.leaf < 0 && node.op.kind === "view") {
      at = this.resolve(node.inputs[0]!);
      node = this.node(at);
    }
    return at;
  }

  /** A group to compute and store a floating node in: one that reads it at its own index anyway, or a new one. */
  #home(at: number, readers: ReadonlySet<Group>): Group {
    const size = sizeOf(this.node(at).shape);
    for (const group of this.#deep.has(at) ? [] : readers) {
      if (group.kind !== "loop") continue;
      for (const level of ["inner", "outer"] as const) {
        if (level === "inner" && group.axes.length === 0) continue;
        if (sizeOf(level === "outer" ? group.outer : group.full) !== size || size === 0) continue;
        if (!this.#readsAtOwnIndex(group, at, level)) continue;
        const others = [...readers].filter((other) => other !== group);
        if (others.some((other) => this.#reaches(group, other))) continue;
        // What a forced node is made from was not counted among what its readers read.
        const bases = new Set(group.bases);
        for (const input of this.node(at).inputs)
          for (const base of this.#basesOf[this.resolve(input)]!) bases.add(base);
        bases.delete(at);
        if (this.#count(bases) + this.#storesOf(group, at) + this.#bindings[at]! > this.#limit(group)) continue;
        for (const base of bases) group.bases.add(base);
        for (const other of others) this.#follow(other, group);
        group.members.set(at, level);
        this.groupOf.set(at, group);
        return group;
      }
    }
    const { shape } = this.node(at);
    const group = this.#start("loop", at, shape, shape, []);
    for (const reader of readers) {
      if (this.#reaches(group, reader)) this.#repeatIn(at, reader);
      else this.#follow(reader, group);
    }
    return group;
  }

  /** Every place in the group that reads the floating node does so at the index of the member that reads it. */
  #readsAtOwnIndex(group: Group, at: number, level: Level): boolean {
    const own = this.indexIn(group, at, level)
      .map((part) => part.key)
      .join(" ");
    let ok = true;
    let found = false;
    const seen = new Set<string>();
    const visit = (n: number, where: readonly Linear[]): void => {
      // Inputs come before what is made from them.
      if (n < at) return;
      const key = where.map((part) => part.key).join(" ");
      if (n === at) {
        found = true;
        if (key !== own) ok = false;
        return;
      }
      if (seen.has(`${n} ${key}`)) return;
      seen.add(`${n} ${key}`);
      const node = this.node(n);
      if (node.leaf >= 0 || this.groupOf.has(n) || this.stored.has(n)) return;
      // A table is read wherever its indices point, so it must be finished before.
      if (node.op.kind === "take" && this.#isMadeFrom(this.resolve(node.inputs[0]!), at)) ok = false;
      this.#visitInputs(node, where, visit);
    };
    for (const [member, memberLevel] of group.members) {
      const node = this.node(member);
      const { op } = node;
      if (op.kind === "reduce") visit(this.resolve(node.inputs[0]!), loopIndex(group).full);
      else this.#visitInputs(node, this.indexIn(group, member, memberLevel), visit);
    }
    return ok && found;
  }

  /** Whether a value uses another one, directly or through values that are computed on the way. */
  #isMadeFrom(value: number, source: number): boolean {
    const seen = new Set<number>();
    const stack = [value];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at === source) return true;
      // Inputs come before what is made from them.
      if (at < source || seen.has(at)) continue;
      seen.add(at);
      const node = this.node(at);
      if (node.leaf < 0) for (const input of node.inputs) stack.push(this.resolve(input));
    }
    return false;
  }

  #visitInputs(
    node: ProgramNode,
    where: readonly Linear[],
    visit: (at: number, where: readonly Linear[]) => void,
  ): void {
    const { op } = node;
    if (op.kind === "take") {
      visit(this.resolve(node.inputs[1]!), [where[0]!]);
      return;
    }
    for (const input of node.inputs) {
      const to = this.resolve(input);
      if (op.kind === "view")
        visit(to, op.map(symbolic, where, this.node(to).shape, node.shape, node.attributes).index);
      else visit(to, where);
    }
  }

  /** Cost of computing a floating node once, down to stored values. */
  #cost(at: number, seen = new Set<number>()): number {
    if (seen.has(at)) return 0;
    seen.add(at);
    const node = this.node(at);
    if (node.leaf >= 0 || this.groupOf.has(at) || this.#forced.has(at)) return 0;
    const own = node.op.kind === "elementwise" ? (node.op.cost ?? 1) : node.op.kind === "take" ? 1 : 0;
    return node.inputs.reduce((sum, input) => sum + this.#cost(this.resolve(input), seen), own);
  }

  /**
   * Lets the readers of a member compute it again, where that is cheap and every kernel can bind what it then reads and
   * stores.
   */
  #repeat(at: number, readers: readonly Group[]): boolean {
    const own = this.groupOf.get(at)!;
    const from = this.#cheapAgain(at);
    if (!from) return false;
    const stored = [...from].filter((n) => own.members.has(n) && !this.#mayBeStored(n, own, -1));
    if (this.#count(own.bases) + this.#storesOf(own, at) + this.#count(stored) > this.#limit(own)) return false;
    const bases = readers.map((group) => new Set([...group.bases, ...from].filter((base) => base !== at)));
    const fit = readers.every((group, i) => this.#count(bases[i]!) + this.#storesOf(group, -1) <= this.#limit(group));
    if (!fit) return false;
    readers.forEach((group, i) => {
      for (const base of bases[i]!) group.bases.add(base);
    });
    for (const member of stored) this.#parts.add(member);
    return true;
  }

  /**
   * Whether a member that other groups read is better computed there again: few operations, on at most one value of its
   * size, which is stored anyway. (Normalised activations from the residual stream and two numbers per row.) Gives what
   * it would be made from, or null.
   */
  #cheapAgain(at: number): Set<number> | null {
    const group = this.groupOf.get(at)!;
    const size = sizeOf(this.node(at).shape);
    let cost = 0;
    let large = 0;
    let possible = true;
    const seen = new Set<number>();
    const from = new Set<number>();
    const visit = (n: number): void => {
      if (seen.has(n)) return;
      seen.add(n);
      const node = this.node(n);
      const small = sizeOf(node.shape) * 8 <= size;
      const made = this.#forced.has(n) || (this.groupOf.has(n) && (small || this.groupOf.get(n) !== group));
      if (node.leaf >= 0 || made) {
        from.add(n);
        if (!small) large++;
        return;
      }
      if (node.op.kind === "contract" || node.op.kind === "reduce" || node.op.kind === "pick") {
        from.add(n);
        if (this.#isReadOutside(n, group)) large++;
        else possible = false;
        return;
      }
      if (node.op.kind === "elementwise") cost += node.op.cost ?? 1;
      for (const input of node.inputs) visit(this.resolve(input));
    };
    visit(at);
    return possible && cost <= CHEAP && large <= 1 ? from : null;
  }

  /** True when a value is stored anyway, because a kernel outside its group reads it as it is. */
  #isReadOutside(at: number, group: Group): boolean {
    return this.#users[at]!.some((user) => {
      const node = this.node(user);
      if (this.resolve(user) !== user || (node.op.kind === "view" && !this.#deep.has(user)))
        return this.#isReadOutside(this.resolve(user), group) || this.#isOutput.has(user);
      const owner = this.groupOf.get(user);
      return this.#deep.has(user) || (owner !== undefined && owner !== group);
    });
  }
}

type Reads = { inside: boolean; groups: Set<Group>; bases: Set<number> };

type Loops = { outer: readonly Linear[]; full: readonly Linear[]; outerAt: Linear; fullAt: Linear };

const loopsOf = new WeakMap<Group, Loops>();

/**
 * The loop variables of a group, outer ones first, then inner ones, as indices into the `outer` and `full` shapes; and the
 * row-major positions there.
 */
export function loopIndex(group: Group): Loops {
  let loops = loopsOf.get(group);
  if (!loops) {
    const outer = group.outer.map((size, i) => axis(i, size));
    let [nextOuter, nextInner] = [0, outer.length];
    const mixed = group.full.map((size, i) => (group.axes.includes(i) ? axis(nextInner++, size) : outer[nextOuter++]!));
    const full = group.axes.length === 0 ? outer : mixed;
    loops = { outer, full, outerAt: flatten(outer, group.outer), fullAt: flatten(full, group.full) };
    loopsOf.set(group, loops);
  }
  return loops;
}

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

/** Whether each element is made from single elements of the inputs. */
const isPointwise = (node: ProgramNode): boolean =>
  node.leaf < 0 && (node.op.kind === "elementwise" || node.op.kind === "view");
