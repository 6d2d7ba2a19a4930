import { bytesPerElement } from "../dtype.ts";
import type { Expr } from "../ir/expr.ts";
import type { Kernel, Schedule } from "../ir/kernel.ts";
import type { Linear } from "../ir/linear.ts";

/** Where temporaries lie in one arena: byte offsets by buffer number (−1 for inputs and outputs). */
export type MemoryPlan = { offsets: readonly number[]; bytes: number };

/** The buffers that a kernel reads and writes, without repeats. */
export function buffersOf(kernel: Kernel): { reads: readonly number[]; writes: readonly number[] } {
  if (kernel.kind === "custom") {
    return { reads: kernel.inputs.map(({ buffer }) => buffer), writes: kernel.outputs.map(({ buffer }) => buffer) };
  }
  const reads = new Set<number>();
  const writes = new Set<number>();
  const seen = new Set<Expr>();
  const visitIndex = (index: Linear): void => {
    for (const { atom } of index.terms) {
      if (atom.kind === "value") visit(atom.value);
      else if (atom.kind !== "axis") visitIndex(atom.of);
    }
  };
  const visit = (expr: Expr): void => {
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "apply") expr.args.forEach(visit);
    if (expr.kind === "load") reads.add(expr.buffer);
    if (expr.kind === "load" || expr.kind === "index") visitIndex(expr.index);
    if (expr.kind === "guard") {
      visit(expr.value);
      for (const { index } of expr.conditions) visitIndex(index);
    }
  };
  if (kernel.kind === "contract") {
    visit(kernel.a);
    visit(kernel.b);
  }
  for (const stage of kernel.kind === "loop" ? kernel.stages : kernel.stores) {
    visit(stage.value);
    if ("buffer" in stage) {
      writes.add(stage.buffer);
      visitIndex(stage.index);
    }
  }
  return { reads: [...reads], writes: [...writes] };
}

/**
 * Places temporaries in one arena so that those alive at the same time do not overlap: largest first, each at the lowest
 * offset that is free during its life (greedy by size: Pisarchyk & Lee 2020, arXiv:2001.03288). Offsets and sizes are
 * multiples of `alignment` bytes.
 */
export function planMemory(schedule: Schedule, alignment: number): MemoryPlan {
  const { buffers, kernels } = schedule;
  const first = new Array<number>(buffers.length).fill(-1);
  const last = new Array<number>(buffers.length).fill(-1);
  kernels.forEach((kernel, at) => {
    const { reads, writes } = buffersOf(kernel);
    for (const buffer of reads) {
      if (buffers[buffer]!.role !== "temporary" || first[buffer] !== -1) continue;
      throw new Error(`schedule: ${kernel.name} (kernel ${at}) reads temporary ${buffer} before any kernel writes it`);
    }
    for (const buffer of [...reads, ...writes]) {
      if (first[buffer] === -1) first[buffer] = at;
      last[buffer] = at;
    }
  });
  const bytesOf = (buffer: number): number => {
    const { size, dtype } = buffers[buffer]!;
    return Math.max(1, Math.ceil((size * bytesPerElement(dtype)) / alignment)) * alignment;
  };
  const offsets = new Array<number>(buffers.length).fill(-1);
  const placed: number[] = [];
  const order = buffers
    .map((_, buffer) => buffer)
    .filter((buffer) => buffers[buffer]!.role === "temporary" && first[buffer] !== -1)
    .sort((a, b) => bytesOf(b) - bytesOf(a) || a - b);
  let bytes = 0;
  for (const buffer of order) {
    let offset = 0;
    // `placed` is sorted by offset, so one pass finds the lowest gap.
    for (const other of placed) {
      if (last[other]! < first[buffer]! || first[other]! > last[buffer]!) continue;
      if (offsets[other]! - offset >= bytesOf(buffer)) break;
      offset = Math.max(offset, offsets[other]! + bytesOf(other));
    }
    offsets[buffer] = offset;
    bytes = Math.max(bytes, offset + bytesOf(buffer));
    const at = placed.findIndex((other) => offsets[other]! > offset);
    placed.splice(at === -1 ? placed.length : at, 0, buffer);
  }
  return { offsets, bytes };
}
