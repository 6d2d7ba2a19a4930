/** Values that are better computed again in each kernel that reads them than stored. */
import { sizeOf } from "../shape.ts";
import type { Group } from "./group.ts";
import type { Grouping } from "./grouping.ts";

/** How many multiply-adds may be done again to save storing a value that several kernels need. */
export const CHEAP = 32;

/** Cost of computing a floating node once, down to stored values. */
export function cost(g: Grouping, at: number, seen = new Set<number>()): number {
  if (seen.has(at)) return 0;
  seen.add(at);
  const node = g.node(at);
  if (node.leaf >= 0 || g.groupOf.has(at) || g.forced.has(at)) return 0;
  const own = node.op.kind === "elementwise" ? (node.op.cost ?? 1) : node.op.kind === "take" ? 1 : 0;
  return node.inputs.reduce((sum, input) => sum + cost(g, g.resolve(input), seen), own);
}

/**
 * Lets the readers of a member compute it again, where that is cheap and every kernel can bind what it then reads and
 * stores.
 */
export function repeat(g: Grouping, at: number, readers: readonly Group[]): boolean {
  const own = g.groupOf.get(at)!;
  const from = cheapAgain(g, at);
  if (!from) return false;
  const stored = [...from].filter((n) => own.members.has(n) && !g.mayBeStored(n, own, -1));
  if (g.count(own.bases) + g.storesOf(own, at) + g.count(stored) > g.limit(own)) return false;
  const bases = readers.map((group) => new Set([...group.bases, ...from].filter((base) => base !== at)));
  const fit = readers.every((group, i) => g.count(bases[i]!) + g.storesOf(group, -1) <= g.limit(group));
  if (!fit) return false;
  readers.forEach((group, i) => {
    for (const base of bases[i]!) group.bases.add(base);
  });
  for (const member of stored) g.parts.add(member);
  return true;
}

/**
 * Whether a member that other groups read is better computed there again: few operations, on at most one value of its
 * size, which is stored anyway. (Normalised activations from the residual stream and two numbers per row.) Gives what
 * it would be made from, or null.
 */
function cheapAgain(g: Grouping, at: number): Set<number> | null {
  const group = g.groupOf.get(at)!;
  const size = sizeOf(g.node(at).shape);
  let cost = 0;
  let large = 0;
  let possible = true;
  const seen = new Set<number>();
  const from = new Set<number>();
  const visit = (n: number): void => {
    if (seen.has(n)) return;
    seen.add(n);
    const node = g.node(n);
    const small = sizeOf(node.shape) * 8 <= size;
    const made = g.forced.has(n) || (g.groupOf.has(n) && (small || g.groupOf.get(n) !== group));
    if (node.leaf >= 0 || made) {
      from.add(n);
      if (!small) large++;
      return;
    }
    if (node.op.kind === "contract" || node.op.kind === "reduce" || node.op.kind === "pick") {
      from.add(n);
      if (isReadOutside(g, n, group)) large++;
      else possible = false;
      return;
    }
    if (node.op.kind === "elementwise") cost += node.op.cost ?? 1;
    for (const input of node.inputs) visit(g.resolve(input));
  };
  visit(at);
  return possible && cost <= CHEAP && large <= 1 ? from : null;
}

/** True when a value is stored anyway, because a kernel outside its group reads it as it is. */
function isReadOutside(g: Grouping, at: number, group: Group): boolean {
  return g.users[at]!.some((user) => {
    const node = g.node(user);
    if (g.resolve(user) !== user || (node.op.kind === "view" && !g.deep.has(user)))
      return isReadOutside(g, g.resolve(user), group) || g.isOutput.has(user);
    const owner = g.groupOf.get(user);
    return g.deep.has(user) || (owner !== undefined && owner !== group);
  });
}

/** Has a group compute a stored node again, beside the group that stores it. */
export function repeatIn(g: Grouping, at: number, group: Group): void {
  if (group === g.groupOf.get(at)) return;
  const groups = g.again.get(at);
  if (groups) groups.add(group);
  else g.again.set(at, new Set([group]));
}
