/** Axis juggling by names (after Rogozhnikov's einops). */
import { currentPath } from "../context.ts";
import { VlmError } from "../errors.ts";
import { shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { permute, reshape } from "./view.ts";

/** One axis of a pattern: the names that make it up ("1" is the empty product), or "…" for the axes not named. */
type Axis = readonly string[];
type Pattern = { left: readonly Axis[]; right: readonly Axis[] };

const REST = "…";
const patterns = new Map<string, Pattern>();

function malformed(pattern: string, why: string): VlmError {
  return new VlmError("ArgumentError", "REARRANGE_PATTERN", {
    what: `rearrange: "${pattern}" ${why}`,
    where: currentPath() ?? undefined,
    hint: 'name every axis once on each side, for example "B N (h d) -> B h N d"',
  });
}

function parse(pattern: string): Pattern {
  let found = patterns.get(pattern);
  if (found) return found;
  const sides = pattern.split("->");
  if (sides.length !== 2) throw malformed(pattern, "has no single ->");
  const [left, right] = sides.map((side) => parseSide(pattern, side)) as [Axis[], Axis[]];
  const names = (side: readonly Axis[]): string[] => side.flat().sort();
  const [from, to] = [names(left), names(right)];
  const repeated = [from, to].some((list) => list.some((name, i) => name === list[i - 1]));
  if (repeated) throw malformed(pattern, "names an axis twice on one side");
  if (left.some((axis) => axis.length > 1 && axis.includes(REST)))
    throw malformed(pattern, "has ... in parentheses on the left");
  if (from.join(" ") !== to.join(" ")) throw malformed(pattern, "does not name the same axes on both sides");
  found = { left, right };
  patterns.set(pattern, found);
  return found;
}

function parseSide(pattern: string, side: string): Axis[] {
  const axes: Axis[] = [];
  const rest = side.replace(/\.\.\.|…|\(([^()]*)\)|[A-Za-z_]\w*|1|\s+/g, (token, group: string | undefined) => {
    if (group !== undefined) {
      const names = group.trim() === "" ? [] : group.trim().split(/\s+/);
      if (names.some((name) => !/^([A-Za-z_]\w*|1|\.\.\.|…)$/.test(name)))
        throw malformed(pattern, `cannot be read at "(${group})"`);
      axes.push(names.filter((name) => name !== "1").map((name) => (name === "..." ? REST : name)));
    } else if (token === "..." || token === REST) axes.push([REST]);
    else if (token === "1") axes.push([]);
    else if (token.trim() !== "") axes.push([token]);
    return "";
  });
  if (rest !== "") throw malformed(pattern, `cannot be read at "${rest}"`);
  return axes;
}

/**
 * Splits, moves and merges axes by name: `rearrange(x, "B N (h d) -> B h N d", { h: 8 })`. In parentheses, names share
 * one axis, the last one running fastest; sizes that do not follow are given. "1" is an axis of size 1, "..." stands
 * for axes that stay together. Only views: nothing is copied.
 */
export function rearrange(x: Tensor, pattern: string, sizes: Readonly<Record<string, number>> = {}): Tensor {
  const { left, right } = parse(pattern);
  const fixed = left.filter((axis) => axis[0] !== REST).length;
  const hasRest = fixed < left.length;
  if (hasRest ? x.rank < fixed : x.rank !== fixed) {
    throw shapeError(
      "REARRANGE_RANK",
      `rearrange: "${pattern}" describes ${fixed} axes${hasRest ? " or more" : ""}, got ${shown(x.shape)}`,
      "name every axis of the tensor on the left",
    );
  }
  const restRank = x.rank - fixed;
  const known = new Map<string, readonly number[]>();
  let at = 0;
  for (const axis of left) {
    if (axis[0] === REST) {
      known.set(REST, x.shape.slice(at, at + restRank));
      at += restRank;
    } else splitAxis(pattern, axis, x.shape[at++]!, sizes, known);
  }
  const names = left.flat();
  const start = new Map<string, number>();
  let position = 0;
  for (const name of names) {
    start.set(name, position);
    position += known.get(name)!.length;
  }
  const apart = reshape(
    x,
    names.flatMap((name) => known.get(name)!),
  );
  const order = right.flat().flatMap((name) => known.get(name)!.map((_, i) => start.get(name)! + i));
  const target = right.flatMap((axis) =>
    axis[0] === REST && axis.length === 1
      ? known.get(REST)!
      : [axis.flatMap((name) => known.get(name)!).reduce((a, b) => a * b, 1)],
  );
  return reshape(permute(apart, order), target);
}

/** Sizes of the names that share an axis of size n; one may be unknown. */
function splitAxis(
  pattern: string,
  axis: Axis,
  n: number,
  sizes: Readonly<Record<string, number>>,
  known: Map<string, readonly number[]>,
): void {
  const open = axis.filter((name) => sizes[name] === undefined);
  const given = axis.reduce((product, name) => product * (sizes[name] ?? 1), 1);
  const inferred = n / given;
  const fits = open.length === 0 ? given === n : open.length === 1 && Number.isInteger(inferred);
  if (!fits) {
    const shownSizes = axis.map((name) => (sizes[name] === undefined ? name : `${name}=${sizes[name]}`)).join(" ");
    throw shapeError(
      "REARRANGE_SIZE",
      `rearrange: (${shownSizes}) does not make up an axis of size ${n} in "${pattern}"`,
      open.length > 1
        ? `give the sizes of all but one of ${open.join(", ")}`
        : "the sizes must multiply to the axis' size",
    );
  }
  for (const name of axis) known.set(name, [sizes[name] ?? inferred]);
}
