/**
 * What is known about how a program's nodes share kernels, while that is being decided: by `place` from inputs to users,
 * then by `decideStores` from users to inputs.
 */
import type { Program, ProgramNode } from "../graph/program.ts";
import type { DeviceLimits, StridedView } from "../op.ts";
import { sizeOf } from "../shape.ts";
import type { Group } from "./group.ts";
import { Precedence } from "./precedence.ts";
import { stridedView } from "./strided-view.ts";

/** `maxKernelBuffers`: greatest number of buffers one kernel may touch; `bindingsOf`: for how many of those one counts. */
export type ScheduleOptions = DeviceLimits;

export class Grouping {
  readonly program: Program;
  readonly groups: Group[] = [];
  readonly groupOf = new Map<number, Group>();
  /** Nodes that get a buffer. */
  readonly stored = new Set<number>();
  /** Groups that compute a stored node again: its own kernel needs what they make. */
  readonly again = new Map<number, Set<Group>>();
  /** Nodes that are another node's buffer under another shape. */
  readonly aliases = new Map<number, number>();
  /** Floating nodes that are stored because a kernel could not bind everything that they are made from. */
  readonly forced = new Set<number>();
  /** Those of them that are stored because what they are made of is too deep: each has a kernel of its own. */
  readonly deep = new Set<number>();
  /** Members that are stored because other groups compute what is made from them again. */
  readonly parts = new Set<number>();
  /** Groups of the nearest placed nodes at or below each node. */
  readonly frontiers: ReadonlySet<Group>[] = [];
  /** What a floating node reads: leaves, placed and forced nodes. */
  readonly basesOf: Set<number>[] = [];
  readonly users: readonly number[][];
  readonly isOutput: ReadonlySet<number>;
  readonly maxBindings: number;
  /** How many bindings each node's buffer takes. */
  readonly bindings: readonly number[];
  readonly #precedence = new Precedence();
  readonly #device: string;
  readonly #held: ReadonlyMap<number, number>;

  /** `held`: by how many bindings the groups that start at some nodes must stay below the limit. */
  constructor(
    program: Program,
    { name, maxKernelBuffers, bindingsOf }: ScheduleOptions,
    held: ReadonlyMap<number, number>,
  ) {
    this.program = program;
    this.#device = name;
    this.#held = held;
    this.maxBindings = maxKernelBuffers;
    this.bindings = program.nodes.map(({ dtype, shape }) => bindingsOf?.(dtype, sizeOf(shape)) ?? 1);
    this.isOutput = new Set(program.outputs.map((at) => this.resolve(at)));
    const users: number[][] = program.nodes.map(() => []);
    program.nodes.forEach((node, at) => {
      for (const input of node.inputs) users[this.resolve(input)]!.push(at);
    });
    this.users = users;
  }

  /** Whether a group is held below the limit. */
  isHeld(group: Group): boolean {
    return this.#held.has(group.anchor);
  }

  /** Whether a walk from users to inputs can come to a value by two ways. */
  isShared(at: number): boolean {
    return this.users[at]!.length > 1;
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

  /** A new group around a node whose inputs are placed. */
  start(
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

  #noteReads(group: Group, at: number): void {
    for (const other of this.frontiers[at]!) if (other !== group) this.follow(group, other);
    for (const base of this.basesOf[at]!) group.bases.add(base);
  }

  /** `group` reads what `other` makes. */
  follow(group: Group, other: Group): void {
    group.after.add(other);
    this.#precedence.add(other.id, group.id);
  }

  /** True when `from` runs after `to`, directly or through others. */
  reaches(from: Group, to: Group): boolean {
    return from === to || this.#precedence.has(to.id, from.id);
  }

  /** How many bindings a group's kernel may take. */
  limit(group: Group): number {
    return this.maxBindings - (this.#held.get(group.anchor) ?? 0);
  }

  /** Bindings for the buffers of these nodes. */
  count(nodes: Iterable<number>): number {
    let sum = 0;
    for (const at of nodes) sum += this.bindings[at]!;
    return sum;
  }

  /** Bindings for the members that may be stored once `joining` has joined the group. */
  storesOf(group: Group, joining: number): number {
    return this.count([...group.members.keys()].filter((member) => this.mayBeStored(member, group, joining)));
  }

  /** Whether something outside the group (which `joining` is about to join) may want a member's value. */
  mayBeStored(member: number, group: Group, joining: number): boolean {
    if (this.isOutput.has(member) || this.parts.has(member)) return true;
    return this.users[member]!.some((user) => {
      if (user === joining || group.members.has(user)) return false;
      const node = this.node(user);
      // (Users of an op that only names the value again are counted as the value's own.)
      if (this.resolve(user) !== user) return false;
      return node.op.kind === "view" && !this.deep.has(user) ? this.mayBeStored(user, group, joining) : true;
    });
  }

  /** Where a hand-written kernel can read an argument that is a view; null where it needs one buffer for the argument. */
  viewOf({ op, inputs }: ProgramNode, input: number): { base: number; view: StridedView } | null {
    if (op.kind !== "kernel" || !op.readsView) return null;
    const found = stridedView(this.program, (at) => this.resolve(at), inputs[input]!);
    // What is not stored anyway would be stored whole for a part.
    if (!found || (this.node(found.base).leaf < 0 && !this.groupOf.has(found.base))) return null;
    return op.readsView(input, found.view, this.#device) ? found : null;
  }
}

/** Whether each element is made from single elements of the inputs. */
export const isPointwise = (node: ProgramNode): boolean =>
  node.leaf < 0 && (node.op.kind === "elementwise" || node.op.kind === "view");
