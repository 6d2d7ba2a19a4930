/** What reading and writing by index have in common. */
import { currentPath } from "../context.ts";
import { expectDType, type HostArray } from "../dtype.ts";
import { VlmError } from "../errors.ts";
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

/** Indices that the host knows are checked at the call, all but `ignored`; the others show when the graph runs. */
export function checkRange(op: string, ids: Tensor, limit: number, ignored?: number): void {
  const host = ids.node.attributes.host as HostArray | undefined;
  const at = host?.findIndex((id) => !(id >= 0 && id < limit) && id !== ignored) ?? -1;
  if (at < 0) return;
  throw new VlmError("IndexRangeError", "INDEX_RANGE", {
    what: `${op}: index ${host![at]} at position ${at} of ${shown(ids.shape)}, for ${limit} places`,
    where: currentPath() ?? undefined,
    hint: limit > 0 ? `indices run from 0 to ${limit - 1}` : "an empty axis has none",
    details: { op, index: host![at], position: at, limit },
  });
}

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
