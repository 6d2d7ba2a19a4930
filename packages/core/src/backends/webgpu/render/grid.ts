/** Positions of workgroups and loop variables. */
import type { VectorAxis } from "./steps.ts";

/** Opens `main`: `group` is the workgroup's number in the folded two-dimensional grid, `lid` the thread's in it. */
export const mainHead = (threads: number): string => `@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;`;

/** Workgroups in two dimensions, none beyond the limit for one. */
export function foldGroups(groups: number, most: number): readonly [number, number] {
  if (groups <= most) return [groups, 1];
  const rows = Math.ceil(groups / most);
  return [Math.ceil(groups / rows), rows];
}

/**
 * Splits a position (the name of a u32) into loop variables, the last running fastest; axes of size 1 have none.
 * With a vector axis (the last), the position counts whole vectors.
 */
export function splitPosition(
  lines: string[],
  position: string,
  sizes: readonly number[],
  firstAxis: number,
  vector: VectorAxis | null,
  prefix = "v",
): Map<number, string> {
  const names = new Map<number, string>();
  const long = sizes.map((_, i) => i).filter((i) => sizes[i] !== 1);
  let rest = position;
  for (let k = long.length - 1; k >= 0; k--) {
    const axis = firstAxis + long[k]!;
    const lanes = vector?.axis === axis ? vector.lanes : 1;
    const size = sizes[long[k]!]! / lanes;
    const name = `${prefix}${axis}`;
    const value = k === 0 ? rest : `${rest} % ${size}u`;
    lines.push(`let ${name} = i32(${value})${lanes > 1 ? ` * ${lanes}` : ""};`);
    if (k > 0) {
      const next = `${prefix}${axis}q`;
      lines.push(`let ${next} = ${rest} / ${size}u;`);
      rest = next;
    }
    names.set(axis, name);
  }
  return names;
}

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

export const indent = (lines: readonly string[], by: number): string =>
  lines
    .join("\n")
    .split("\n")
    .map((line) => (line ? `${" ".repeat(by)}${line}` : line))
    .join("\n");

/** The least power of two that is not below n. */
export const powerOfTwo = (n: number): number => 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, n))));
