/** A group of nodes that become one kernel, and the loops it runs over. */
import { axis, flatten, type Linear, unflatten } from "../ir/linear.ts";

/** Whether a member has a value for each outer index of its group's loops, or one for each outer and inner index. */
export type Level = "outer" | "inner";

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

/** Where in its group's loop space a member's element lies. */
export function indexIn(group: Group, shape: readonly number[], level: Level): readonly Linear[] {
  const loops = loopIndex(group);
  if (same(shape, level === "outer" ? group.outer : group.full)) return loops[level === "outer" ? "outer" : "full"];
  return unflatten(level === "outer" ? loops.outerAt : loops.fullAt, shape);
}

export const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);
