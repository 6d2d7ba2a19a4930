/**
 * Which nodes share a kernel. A first pass, from inputs to users, gives nodes to groups (place.ts); a second, from users
 * to inputs, decides what is stored (stores.ts).
 */
import type { Program } from "../graph/program.ts";
import { Grouping, type ScheduleOptions } from "./grouping.ts";
import { place } from "./place.ts";
import { decideStores } from "./stores.ts";

/** `held`: by how many bindings the groups that start at some nodes must stay below the limit. */
export function groupNodes(program: Program, options: ScheduleOptions, held: ReadonlyMap<number, number>): Grouping {
  const grouping = new Grouping(program, options, held);
  place(grouping);
  decideStores(grouping);
  return grouping;
}
