/** Sorting, and what follows from it. */
import { sortWasm } from "../backends/wasm/kernels/sort.ts";
import { sortFits, sortWebGpu } from "../backends/webgpu/kernels/sort.ts";
import { isFloat } from "../dtype.ts";
import { callKernel } from "../graph/kernel.ts";
import type { KernelOp } from "../op.ts";
import { axisOf, shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { bitAnd, bitcast, bitNot, bitOr, bitXor, isNaN as isNan, shiftRight } from "./bits.ts";
import { scatter } from "./scatter.ts";
import { iota } from "./source.ts";
import { gather } from "./take.ts";

/**
 * Rows of [R N] in order, stable; outputs: values [R N] and their former positions i32 [R N]. NaN counts as greatest.
 * Attribute: descending.
 */
export const sortOp: KernelOp = {
  kind: "kernel",
  name: "sort",
  wasm: sortWasm,
  outputs: ([x]) => [
    { shape: x!.shape, dtype: x!.dtype },
    { shape: x!.shape, dtype: "i32" },
  ],
  eval([x], { descending }) {
    const [rows, n] = x!.shape as [number, number];
    const values = new Float64Array(rows * n);
    const indices = new Float64Array(rows * n);
    const sign = descending ? -1 : 1;
    for (let r = 0; r < rows; r++) {
      const row = x!.data.subarray(r * n, (r + 1) * n);
      const order = Array.from(row, (_, i) => i).sort((i, j) => sign * compare(row[i]!, row[j]!) || i - j);
      order.forEach((from, i) => {
        values[r * n + i] = row[from]!;
        indices[r * n + i] = from;
      });
    }
    return [values, indices];
  },
  /** By counting: an element's place is the number of elements that come before it. N² comparisons, no copy of them. */
  reference([x], { descending }) {
    const [rows, n] = x!.dims(2);
    const key = descending ? bitNot(sortKey(x!)) : sortKey(x!);
    const position = iota(n);
    const [mine, other] = [key.reshape([rows, n, 1]), key.reshape([rows, 1, n])];
    const earlier = position.reshape([1, n]).lt(position.reshape([n, 1]));
    const before = bitOr(other.lt(mine), bitAnd(other.eq(mine), earlier));
    const place = before.cast("i32").sum(-1); // [R N]
    const at = place.reshape([rows, 1, n]).eq(position.reshape([n, 1]));
    const indices = at.where(position, 0).sum(-1);
    return [gather(x!, indices, 1), indices];
  },
  webgpu: sortWebGpu,
  when: (inputs, _attributes, device) => device.name !== "webgpu" || sortFits(inputs),
  vjp: ({ dy: [dy], outputs: [, indices] }) => [scatter(dy!.mul(0), indices!, dy!, 1)],
  test: { ulp: 0, dtypes: ["f32", "i32", "u32"] },
};

const compare = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a - b;

/** Integers in the order of the values: floats by their bits, negative ones flipped. */
function sortKey(x: Tensor): Tensor {
  if (!isFloat(x.dtype)) return x;
  const single = x.cast("f32");
  const raw = bitcast(single, "i32");
  // −0 and 0 are equal, and stay in place.
  const bits = raw.eq(-(2 ** 31)).where(0, raw);
  return isNan(single).where(0x7fffffff, bitXor(bits, bitAnd(shiftRight(bits, 31), 0x7fffffff)));
}

/** Elements in order, and the index (i32) where each was. */
export type Sorted = { values: Tensor; indices: Tensor };

/** Elements in ascending (or descending) order along an axis, and where they were (i32). Stable; NaN is greatest. */
export function sort(x: Tensor, axis = -1, options: { descending?: boolean } = {}): Sorted {
  const at = axisOf("sort", axis, x.rank);
  const order = [...x.shape.map((_, i) => i).filter((i) => i !== at), at];
  const inverse = order.map((_, i) => order.indexOf(i));
  const moved = x.permute(order);
  const narrow = x.dtype === "bool" || x.dtype === "u8";
  const rows = (narrow ? moved.cast("u32") : moved).reshape([x.size === 0 ? 0 : -1, x.shape[at]!]);
  const outputs = callKernel(sortOp, [rows], { descending: options.descending ?? false });
  const [values, indices] = outputs.map((y) => y.reshape(moved.shape).permute(inverse));
  return { values: values!.cast(x.dtype), indices: indices! };
}

/** Positions (i32) that put x in order along an axis. */
export const argsort = (x: Tensor, axis = -1, options: { descending?: boolean } = {}): Tensor =>
  sort(x, axis, options).indices;

/** The k greatest (or least) elements along an axis, greatest first, and their positions; of equals, the first. */
export function topk(x: Tensor, k: number, axis = -1, options: { largest?: boolean } = {}): Sorted {
  const at = axisOf("topk", axis, x.rank);
  if (!Number.isInteger(k) || k < 0 || k > x.shape[at]!) {
    throw shapeError(
      "TOPK_RANGE",
      `topk: k = ${k} on axis ${at} of ${shown(x.shape)}`,
      "k runs from 0 to the axis' size",
    );
  }
  const { values, indices } = sort(x, at, { descending: options.largest ?? true });
  const cut = x.shape.map((_, i): null | [number, number] => (i === at ? [0, k] : null));
  return { values: values.slice(...cut), indices: indices.slice(...cut) };
}
