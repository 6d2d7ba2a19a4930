/** What reading and writing by index have in common. */
import { currentPath } from "../context.ts";
import { debugLevel } from "../debug.ts";
import { expectDType, type HostArray } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { rowMajor } from "../ir/linear.ts";
import { type Shape, shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { bitAnd } from "./bits.ts";
import { iota } from "./source.ts";

/** Checks that a tensor holds whole numbers, and gives them as i32. */
export function asIndices(op: string, ids: Tensor): Tensor {
  expectDType(op, ids.dtype, "integer");
  return ids.cast("i32");
}

/** Indices of an op: whole numbers from 0 to limit − 1, or `ignored`. */
export type IndexCheck = { op: string; ids: Tensor; limit: number; ignored: number | undefined; where: string | null };

/** Checks that are made when a node is computed, at `VLM_DEBUG=1`. */
export const indexCheckOf = new WeakMap<Node, IndexCheck>();

/** Indices that the host knows are checked at once, all but `ignored`; the others when `made` from them is computed. */
export function checkRange(op: string, ids: Tensor, limit: number, made: Tensor, ignored?: number): void {
  const host = ids.node.attributes.host as HostArray | undefined;
  const check = { op, ids, limit, ignored, where: currentPath() };
  const at = host?.findIndex((id) => !(id >= 0 && id < limit) && id !== ignored) ?? -1;
  if (at >= 0) throw indexRangeError(check, host![at]!, at);
  if (!host && ids.size > 0 && debugLevel() === 1) indexCheckOf.set(made.node, check);
}

export const indexRangeError = ({ op, ids, limit, where }: IndexCheck, index: number, position: number): VlmError =>
  new VlmError("IndexRangeError", "INDEX_RANGE", {
    what: `${op}: index ${index} at position ${position} of ${shown(ids.shape)}, for ${limit} places`,
    where: where ?? undefined,
    hint: limit > 0 ? `indices run from 0 to ${limit - 1}` : "an empty axis has none",
    details: { op, index, position, limit },
  });

/** Row-major positions in x that `index` means along `axis`; −1 where it is out of range. */
export function flatPositions(index: Tensor, shape: Shape, axis: number): Tensor {
  const strides = rowMajor(shape);
  let position = index.mul(strides[axis]!);
  index.shape.forEach((size, i) => {
    if (i === axis || size === 1) return;
    const along = index.shape.map((_, k) => (k === i ? size : 1));
    position = position.add(iota(size).mul(strides[i]!).reshape(along));
  });
  return bitAnd(index.ge(0), index.lt(shape[axis]!)).where(position, -1);
}

/** Checks an index tensor of `gather` or `scatter` against the tensor it points into. */
export function checkIndex(op: string, x: Tensor, index: Tensor, axis: number): void {
  const fits = index.rank === x.rank && index.shape.every((n, i) => i === axis || n <= x.shape[i]!);
  if (fits) return;
  throw shapeError(
    "INDEX_SHAPE",
    `${op}: indices ${shown(index.shape)} do not fit ${shown(x.shape)} on axis ${axis}`,
    "ranks must agree, and no axis but the indexed one may be longer",
    { op, x: x.shape, index: index.shape, axis },
  );
}
