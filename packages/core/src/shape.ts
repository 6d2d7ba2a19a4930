import { currentPath } from "./context.ts";
import { printable, VlmError } from "./errors.ts";

/** Sizes of the axes; [] is a scalar's. */
export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

/** Shapes as the errors print them: [2 197 768]. */
export const shown = (shape: Shape): string => `[${shape.join(" ")}]`;

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** A `ShapeError` that names op, shapes and module path. */
export function shapeError(code: string, what: string, hint?: string, details?: Record<string, unknown>): VlmError {
  return new VlmError("ShapeError", code, { what, where: currentPath() ?? undefined, hint, details });
}

/** What a caller gave where a list belongs: `x.reshape(2, 3)` is a slip that types do not show in plain JavaScript. */
export function listOf<L extends readonly unknown[]>(op: string, list: L): L {
  if (Array.isArray(list)) return list;
  throw argument("LIST", `${op}: ${printable(String(list))} is no list`, "write [ ] around it: [2, 3]");
}

/** What a caller gave where a tensor belongs. */
export function expectTensor<T extends { readonly node: unknown }>(op: string, x: T): T {
  if ((x as T | undefined)?.node) return x;
  throw argument(
    "TENSOR",
    `${op}: ${printable(String(x))} is no tensor`,
    "make one with tensor(...); a parameter has its value",
  );
}

/** One of the words that an option knows. */
export function expectWord<W extends string>(op: string, option: string, word: W, words: readonly W[]): W {
  if (words.includes(word)) return word;
  throw argument("OPTION", `${op}: ${option} is ${printable(String(word))}`, `choose one of ${words.join(", ")}`);
}

/** A whole number from `least` to `most`. */
export function expectWhole(op: string, what: string, n: number, least: number, most: number = 2 ** 53): number {
  if (Number.isInteger(n) && n >= least && n <= most) return n;
  const from = least > Number.NEGATIVE_INFINITY ? `, ${least} or more` : "";
  const to = most < 2 ** 53 ? `, ${most} at most` : "";
  throw argument("WHOLE_NUMBER", `${op}: ${what} is ${printable(String(n))}`, `it is a whole number${from}${to}`);
}

const argument = (code: string, what: string, hint: string): VlmError =>
  new VlmError("ArgumentError", code, { what, where: currentPath() ?? undefined, hint });

/** The shape both broadcast to, by NumPy's rule: aligned at the end, equal or 1. */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out: number[] = [];
  for (let i = 0; i < rank; i++) {
    const m = a[a.length - rank + i] ?? 1;
    const n = b[b.length - rank + i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw shapeError(
        "BROADCAST",
        `${op}: shapes do not broadcast, ${m} ≠ ${n} on axis ${i - rank}: ${shown(a)} and ${shown(b)}`,
        "sizes must be equal or 1, counted from the last axis; reshape or expand one side",
        { op, a, b },
      );
    }
    out.push(m === 1 ? n : m);
  }
  return out;
}

/** An axis in 0 … rank − 1 from one that may count from the end. */
export function axisOf(op: string, axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(axis) && resolved >= 0 && resolved < rank) return resolved;
  throw new VlmError("IndexRangeError", "AXIS_RANGE", {
    what: `${op}: axis ${axis} of a tensor of rank ${rank}`,
    where: currentPath() ?? undefined,
    hint: rank === 0 ? "a scalar has no axes" : `axes run from ${-rank} to ${rank - 1}`,
    details: { op, axis, rank },
  });
}

/** All given axes, resolved, sorted, without repeats; every axis when none is given. */
export function axesOf(op: string, axes: number | readonly number[] | null | undefined, rank: number): number[] {
  if (axes === undefined || axes === null) return Array.from({ length: rank }, (_, i) => i);
  const list = listOf(op, typeof axes === "number" ? [axes] : axes).map((axis) => axisOf(op, axis, rank));
  const unique = [...new Set(list)].sort((a, b) => a - b);
  if (unique.length !== list.length) {
    throw new VlmError("ArgumentError", "AXIS_REPEATED", {
      what: `${op}: an axis is named twice in [${list.join(" ")}]`,
      where: currentPath() ?? undefined,
      hint: "name each axis once",
    });
  }
  return unique;
}

/** Checks that a shape is made of whole numbers ≥ 0 and not beyond what can be indexed. */
export function checkShape(op: string, shape: Shape): Shape {
  for (const n of listOf(op, shape)) {
    if (!Number.isInteger(n) || n < 0) {
      throw shapeError("SHAPE_INVALID", `${op}: ${shown(shape)} is no shape`, "sizes are whole numbers, 0 or more");
    }
  }
  if (sizeOf(shape) > 2 ** 31) {
    throw shapeError("SHAPE_TOO_LARGE", `${op}: ${shown(shape)} has more than 2^31 elements`, "split the tensor");
  }
  return shape;
}
