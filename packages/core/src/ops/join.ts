/** Putting tensors together and taking them apart. */
import { type DType, isFloat, promote } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import { axisOf, expectTensor, expectWhole, listOf, shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { add } from "./arithmetic.ts";
import { bitOr } from "./bits.ts";
import { expand, pad, type Slice, slice, unsqueeze } from "./view.ts";

/** Tensors one after the other along an axis; all other sizes agree. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const first = tensors[0];
  if (!first)
    throw new VlmError("ArgumentError", "CONCAT_EMPTY", { what: "concat: no tensors", hint: "give at least one" });
  for (const x of listOf("concat", tensors)) expectTensor("concat", x);
  const at = axisOf("concat", axis, first.rank);
  for (const x of tensors) {
    if (x.rank === first.rank && x.shape.every((n, i) => i === at || n === first.shape[i])) continue;
    throw shapeError(
      "CONCAT_SHAPE",
      `concat: ${shown(x.shape)} does not continue ${shown(first.shape)} on axis ${at}`,
      "all sizes but that axis' must agree",
      { axis: at, shapes: tensors.map((t) => t.shape) },
    );
  }
  const dtype: DType = tensors.map((x) => x.dtype).reduce(promote);
  const total = tensors.reduce((sum, x) => sum + x.shape[at]!, 0);
  const kept = tensors.filter((x) => x.shape[at] !== 0);
  let start = 0;
  // Each in its place with zeros around, and the sum: every element is read once, where it is. (Negative zeros, to
  // which even -0 may be added.)
  const nothing = isFloat(dtype) ? -0 : 0;
  const placed = kept.map((x) => {
    const before = start;
    start += x.shape[at]!;
    return pad(
      x.cast(dtype),
      x.shape.map((_, i) => (i === at ? [before, total - start] : [0, 0])),
      nothing,
    );
  });
  return placed.length === 0 ? first.cast(dtype) : placed.reduce(dtype === "bool" || dtype === "u8" ? bitOr : add);
}

/** Tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(
    tensors.map((x) => unsqueeze(x, axis)),
    axis < 0 ? axis : axis,
  );
}

/** Parts along an axis: of the given sizes, or (for a number) of that size, the last one smaller if it does not divide. */
export function split(x: Tensor, sizes: number | readonly number[], axis = 0): Tensor[] {
  const at = axisOf("split", axis, x.rank);
  const n = x.shape[at]!;
  const list =
    typeof sizes === "number"
      ? Array.from({ length: Math.ceil(n / expectWhole("split", "a size", sizes, 1)) }, (_, i) =>
          Math.min(sizes, n - i * sizes),
        )
      : sizes;
  if (list.reduce((a, b) => a + b, 0) !== n || list.some((size) => !Number.isInteger(size) || size < 0)) {
    throw shapeError(
      "SPLIT_SIZES",
      `split: parts of [${list.join(" ")}] do not make up axis ${at} of ${shown(x.shape)}`,
      `the sizes must add up to ${n}`,
    );
  }
  let start = 0;
  return list.map((size) => {
    const from = start;
    start += size;
    return slice(x, ...x.shape.map((_, i): Slice => (i === at ? [from, start] : null)));
  });
}

/** `count` equal parts along an axis. */
export function chunk(x: Tensor, count: number, axis = 0): Tensor[] {
  const at = axisOf("chunk", axis, x.rank);
  const n = x.shape[at]!;
  if (!Number.isInteger(count) || count < 1 || n % count !== 0) {
    throw shapeError(
      "CHUNK_COUNT",
      `chunk: axis ${at} of ${shown(x.shape)} does not divide into ${count}`,
      "use split with sizes",
    );
  }
  return split(x, n === 0 ? new Array<number>(count).fill(0) : n / count, at);
}

/** x repeated as a whole: counts per axis (axes left out at the front count 1). A view until it is used. */
export function tile(x: Tensor, counts: readonly number[]): Tensor {
  for (const n of listOf("tile", counts)) expectWhole("tile", "a count", n, 0);
  const rank = Math.max(x.rank, counts.length);
  const shape = [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
  const times = [...new Array<number>(rank - counts.length).fill(1), ...counts];
  const paired = shape.flatMap((n) => [1, n]);
  const grown = shape.flatMap((n, i) => [times[i]!, n]);
  return expand(x.reshape(paired), grown).reshape(shape.map((n, i) => n * times[i]!));
}

/** Each element `count` times in a row along an axis (PyTorch's repeat_interleave). */
export function repeat(x: Tensor, count: number, axis = 0): Tensor {
  const at = axisOf("repeat", axis, x.rank);
  expectWhole("repeat", "the count", count, 0);
  const wide = unsqueeze(x, at + 1);
  const shape = wide.shape.map((n, i) => (i === at + 1 ? count : n));
  return expand(wide, shape).reshape(x.shape.map((n, i) => (i === at ? n * count : n)));
}

/** Elements moved `shift` places along an axis; those that fall off come back at the other end. */
export function roll(x: Tensor, shift: number, axis = -1): Tensor {
  const at = axisOf("roll", axis, x.rank);
  const n = x.shape[at]!;
  expectWhole("roll", "the shift", shift, Number.NEGATIVE_INFINITY);
  const by = n === 0 ? 0 : ((shift % n) + n) % n;
  if (by === 0) return x;
  const cut = (from: number, to: number): Tensor =>
    slice(x, ...x.shape.map((_, i): Slice => (i === at ? [from, to] : null)));
  return concat([cut(n - by, n), cut(0, n - by)], at);
}
