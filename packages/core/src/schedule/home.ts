/** Which kernel makes a floating value that has to be stored. */
import type { ProgramNode } from "../graph/program.ts";
import { symbolic } from "../ir/index-algebra.ts";
import type { Linear } from "../ir/linear.ts";
import { sizeOf } from "../shape.ts";
import { type Group, indexIn, type Level, loopIndex } from "./group.ts";
import type { Grouping } from "./grouping.ts";
import { repeatIn } from "./repeat.ts";

/** A group to compute and store a floating node in: one that reads it at its own index anyway, or a new one. */
export function homeOf(g: Grouping, at: number, readers: ReadonlySet<Group>): Group {
  const size = sizeOf(g.node(at).shape);
  for (const group of g.deep.has(at) ? [] : readers) {
    if (group.kind !== "loop") continue;
    for (const level of ["inner", "outer"] as const) {
      if (level === "inner" && group.axes.length === 0) continue;
      if (sizeOf(level === "outer" ? group.outer : group.full) !== size || size === 0) continue;
      if (!readsAtOwnIndex(g, group, at, level)) continue;
      const others = [...readers].filter((other) => other !== group);
      if (others.some((other) => g.reaches(group, other))) continue;
      // What a forced node is made from was not counted among what its readers read.
      const bases = new Set(group.bases);
      for (const input of g.node(at).inputs) for (const base of g.basesOf[g.resolve(input)]!) bases.add(base);
      bases.delete(at);
      if (g.count(bases) + g.storesOf(group, at) + g.bindings[at]! > g.limit(group)) continue;
      for (const base of bases) group.bases.add(base);
      for (const other of others) g.follow(other, group);
      group.members.set(at, level);
      g.groupOf.set(at, group);
      return group;
    }
  }
  const { shape } = g.node(at);
  const group = g.start("loop", at, shape, shape, []);
  for (const reader of readers) {
    if (g.reaches(group, reader)) repeatIn(g, at, reader);
    else g.follow(reader, group);
  }
  return group;
}

/** Every place in the group that reads the floating node does so at the index of the member that reads it. */
function readsAtOwnIndex(g: Grouping, group: Group, at: number, level: Level): boolean {
  const own = indexIn(group, g.node(at).shape, level)
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
    const node = g.node(n);
    if (node.leaf >= 0 || g.groupOf.has(n) || g.stored.has(n)) return;
    // A table is read wherever its indices point, so it must be finished before.
    if (node.op.kind === "take" && isMadeFrom(g, g.resolve(node.inputs[0]!), at)) ok = false;
    visitInputs(g, node, where, visit);
  };
  for (const [member, memberLevel] of group.members) {
    const node = g.node(member);
    const { op } = node;
    if (op.kind === "reduce") visit(g.resolve(node.inputs[0]!), loopIndex(group).full);
    else visitInputs(g, node, indexIn(group, node.shape, memberLevel), visit);
  }
  return ok && found;
}

/** Whether a value uses another one, directly or through values that are computed on the way. */
function isMadeFrom(g: Grouping, value: number, source: number): boolean {
  const seen = new Set<number>();
  const stack = [value];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (at === source) return true;
    // Inputs come before what is made from them.
    if (at < source || seen.has(at)) continue;
    seen.add(at);
    const node = g.node(at);
    if (node.leaf < 0) for (const input of node.inputs) stack.push(g.resolve(input));
  }
  return false;
}

function visitInputs(
  g: Grouping,
  node: ProgramNode,
  where: readonly Linear[],
  visit: (at: number, where: readonly Linear[]) => void,
): void {
  const { op } = node;
  if (op.kind === "take") {
    visit(g.resolve(node.inputs[1]!), [where[0]!]);
    return;
  }
  for (const input of node.inputs) {
    const to = g.resolve(input);
    if (op.kind === "view") visit(to, op.map(symbolic, where, g.node(to).shape, node.shape, node.attributes).index);
    else visit(to, where);
  }
}
