/** Which groups become kernels, and in which order. */
import type { Group } from "./group.ts";
import type { Grouping } from "./grouping.ts";

/** Groups in an order that respects what they read; otherwise as the program was written. */
export function orderOf(grouping: Grouping): Group[] {
  const done = new Set<Group>();
  const result: Group[] = [];
  const used = grouping.groups.filter((group) => storesOf(grouping, group).length > 0);
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
  return result.filter((group) => storesOf(grouping, group).length > 0);
}

/** The nodes that a group stores, in the order of the program. */
export function storesOf(grouping: Grouping, group: Group): number[] {
  if (group.kind === "custom") return [...grouping.stored].filter((at) => grouping.groupOf.get(at) === group);
  return [...group.members.keys()].filter((at) => grouping.stored.has(at)).sort((a, b) => a - b);
}

const last = (group: Group): number => Math.max(...group.members.keys());
