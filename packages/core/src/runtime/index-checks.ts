/** Indices that only the device knows, checked there: plans compute a flag beside their results at `VLM_DEBUG=1`. */
import type { Buffer } from "../backends/backend.ts";
import { debugLevel } from "../debug.ts";
import type { Node } from "../graph/node.ts";
import { bitAnd, bitOr } from "../ops/bits.ts";
import { type IndexCheck, indexCheckOf, indexRangeError } from "../ops/indices.ts";
import { iota } from "../ops/source.ts";
import type { Device } from "./device.ts";

/** The checks that belong to what these nodes are computed from, and for each two nodes that hold its outcome. */
export function flagsOf(outputs: readonly Node[]): { checks: readonly IndexCheck[]; flags: readonly Node[] } {
  const checks: IndexCheck[] = [];
  if (debugLevel() !== 1) return { checks, flags: [] };
  const seen = new Set<Node>();
  const nodes = [...outputs];
  for (let node = nodes.pop(); node; node = nodes.pop()) {
    if (seen.has(node) || node.storage) continue;
    seen.add(node);
    nodes.push(...node.inputs);
    const check = indexCheckOf.get(node);
    if (check) checks.push(check);
  }
  return { checks, flags: checks.flatMap(flagsOfCheck) };
}

/** Position of the first index out of range, or how many indices there are; and that index. */
function flagsOfCheck({ ids, limit, ignored }: IndexCheck): Node[] {
  const index = ids.cast("i32").reshape([-1]);
  const outside = bitOr(index.lt(0), index.ge(limit));
  const bad = ignored === undefined ? outside : bitAnd(outside, index.ne(ignored));
  const at = iota(ids.size);
  const first = bad.where(at, ids.size).min();
  return [first.node, at.eq(first).where(index, 0).sum().node];
}

/** The verdict of a run and of its flags, which are freed. Throws `IndexRangeError`. */
export async function checked(
  run: Promise<void>,
  device: Device,
  checks: readonly IndexCheck[],
  buffers: readonly Buffer[],
): Promise<void> {
  try {
    await run;
    const flags = await Promise.all(buffers.map(async (buffer) => (await device.read(buffer))[0]!));
    checks.forEach((check, i) => {
      const position = flags[2 * i]!;
      if (position < check.ids.size) throw indexRangeError(check, flags[2 * i + 1]!, position);
    });
  } finally {
    for (const buffer of buffers) device.free(buffer);
  }
}
