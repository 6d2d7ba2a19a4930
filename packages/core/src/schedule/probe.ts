/** What a node would read if a group computed it: whether it can join. */
import { symbolic } from "../ir/index-algebra.ts";
import type { Linear } from "../ir/linear.ts";
import { type Group, indexIn } from "./group.ts";
import type { Grouping } from "./grouping.ts";

/** Whether it reads values of the group itself; the other groups and the stored nodes that it reads. */
export type Reads = { inside: boolean; groups: Set<Group>; bases: Set<number> };

/** Reductions in one kernel: the wasm renderer tells which a value needs by the bits of half a word. */
const MAX_REDUCES = 16;

/**
 * What computing node `at` at `index` inside `group` would read: null when it needs a value of the group at another
 * index than the one where the group makes it.
 */
export function probe(g: Grouping, at: number, index: readonly Linear[], group: Group): Reads | null {
  const reads: Reads = { inside: false, groups: new Set(), bases: new Set() };
  const seen = new Set<string>();
  const visit = (n: number, where: readonly Linear[]): boolean => {
    if (g.isShared(n)) {
      const key = `${n} ${where.map((i) => i.key).join(" ")}`;
      if (seen.has(key)) return true;
      seen.add(key);
    }
    const node = g.node(n);
    const owner = g.groupOf.get(n);
    if (owner === group) {
      reads.inside = true;
      const made = indexIn(group, node.shape, group.members.get(n)!);
      return made.every((part, i) => part.key === where[i]!.key);
    }
    if (owner || node.leaf >= 0) {
      if (owner) reads.groups.add(owner);
      reads.bases.add(n);
      return true;
    }
    if (g.forced.has(n)) {
      readsOf(g, n, reads);
      return !touches(g, n, group);
    }
    if (node.op.kind === "take") {
      const [table, ids] = [g.resolve(node.inputs[0]!), g.resolve(node.inputs[1]!)];
      if (g.groupOf.get(table) === group) return false;
      readsOf(g, table, reads);
      if (touches(g, table, group)) return false;
      return visit(ids, [where[0]!]);
    }
    if (node.op.kind === "view") {
      const input = g.resolve(node.inputs[0]!);
      const source = g.node(input).shape;
      return visit(input, node.op.map(symbolic, where, source, node.shape, node.attributes).index);
    }
    return node.inputs.every((input) => visit(g.resolve(input), where));
  };
  return visit(at, index) ? reads : null;
}

function readsOf(g: Grouping, at: number, reads: Reads): void {
  for (const group of g.frontiers[at]!) reads.groups.add(group);
  reads.bases.add(at);
}

function touches(g: Grouping, at: number, group: Group): boolean {
  return g.frontiers[at]!.has(group);
}

/** No cycle would arise, and the kernel would not need more buffers than the device can bind. */
export function mayRead(g: Grouping, group: Group, reads: Reads, at: number): boolean {
  const limit = g.limit(group);
  let bindings = g.count(group.bases) + g.bindings[at]!;
  for (const base of reads.bases) if (!group.bases.has(base)) bindings += g.bindings[base]!;
  // (Which members may be stored is looked up only when it matters.)
  const most = bindings + g.count(group.members.keys());
  if (most > limit && bindings + g.storesOf(group, at) > limit) return false;
  let reduces = 0;
  for (const member of group.members.keys()) {
    if (g.node(member).op.kind === "reduce" && ++reduces >= MAX_REDUCES) return false;
  }
  for (const other of reads.groups) if (other !== group && g.reaches(other, group)) return false;
  return true;
}
