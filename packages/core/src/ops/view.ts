/** Views: the same elements under another index. No view moves data; the scheduler reads through them. */
import { currentPath } from "../context.ts";
import { VlmError } from "../errors.ts";
import { Node } from "../graph/node.ts";
import type { Attributes, ViewOp } from "../op.ts";
import { axisOf, checkShape, listOf, type Shape, sameShape, shapeError, shown, sizeOf } from "../shape.ts";
import { Tensor } from "../tensor.ts";

function view(op: ViewOp, x: Tensor, attributes: Attributes): Tensor {
  const shape = op.shape(x.shape, attributes);
  return new Tensor(new Node(op, [x.node], attributes, { shape, dtype: x.dtype }, currentPath()));
}

export const reshapeOp: ViewOp = {
  kind: "view",
  name: "reshape",
  keepsOrder: true,
  shape: (_input, { shape }) => shape as Shape,
  map(algebra, index, input, output) {
    let position = algebra.constant(0);
    index.forEach((part, i) => {
      position = algebra.add(position, algebra.scale(part, sizeOf(output.slice(i + 1))));
    });
    const mapped = input.map((size, i) => {
      if (size === 1) return algebra.constant(0);
      const quotient = algebra.div(position, sizeOf(input.slice(i + 1)));
      return i === 0 ? quotient : algebra.mod(quotient, size);
    });
    return { index: mapped };
  },
  vjp: ({ dy: [dy], inputs: [x] }) => [reshape(dy!, x!.shape)],
};

/** The same elements in row-major order under another shape; one size may be −1 and is inferred. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const unknown = listOf("reshape", shape).indexOf(-1);
  let full = shape;
  if (unknown >= 0) {
    const known = sizeOf(shape.filter((_, i) => i !== unknown));
    full = shape.map((n, i) => (i === unknown ? (known === 0 ? 0 : x.size / known) : n));
  }
  if (sizeOf(full) !== x.size || !full.every((n) => Number.isInteger(n) && n >= 0)) {
    throw shapeError(
      "RESHAPE_SIZE",
      `reshape: ${shown(x.shape)} has ${x.size} elements, ${shown(shape)} does not`,
      "the products of both shapes must agree; one size may be −1",
      { from: x.shape, to: shape },
    );
  }
  if (sameShape(full, x.shape)) return x;
  return view(reshapeOp, x, { shape: full });
}

export const permuteOp: ViewOp = {
  kind: "view",
  name: "permute",
  shape: (input, { order }) => (order as number[]).map((axis) => input[axis]!),
  joined(inner, { order }) {
    const both = (order as number[]).map((axis) => (inner.order as number[])[axis]!);
    return both.every((axis, i) => axis === i) ? null : { order: both };
  },
  map(_algebra, index, input, _output, { order }) {
    const mapped = [...index];
    (order as number[]).forEach((axis, i) => {
      mapped[axis] = index[i]!;
    });
    return { index: mapped.slice(0, input.length) };
  },
  vjp: ({ dy: [dy], attributes: { order } }) => {
    const inverse = (order as number[]).map((_, i) => (order as number[]).indexOf(i));
    return [permute(dy!, inverse)];
  },
};

/** Axis i of the result is axis order[i] of x. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  const resolved = listOf("permute", order).map((axis) => axisOf("permute", axis, x.rank));
  if (resolved.length !== x.rank || new Set(resolved).size !== x.rank) {
    throw new VlmError("ArgumentError", "PERMUTE_ORDER", {
      what: `permute: [${order.join(" ")}] is no order of the axes of ${shown(x.shape)}`,
      where: currentPath() ?? undefined,
      hint: `name each of the ${x.rank} axes once`,
    });
  }
  if (resolved.every((axis, i) => axis === i)) return x;
  return view(permuteOp, x, { order: resolved });
}

/** Swaps two axes; the last two by default. */
export function transpose(x: Tensor, a = -2, b = -1): Tensor {
  const [i, j] = [axisOf("transpose", a, x.rank), axisOf("transpose", b, x.rank)];
  const order = x.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis));
  return permute(x, order);
}

export const expandOp: ViewOp = {
  kind: "view",
  name: "expand",
  shape: (_input, { shape }) => shape as Shape,
  map(algebra, index, input) {
    const skip = index.length - input.length;
    return { index: input.map((size, i) => (size === 1 ? algebra.constant(0) : index[skip + i]!)) };
  },
  vjp: ({ dy: [dy], inputs: [x] }) => {
    const skip = dy!.rank - x!.rank;
    const summed = dy!.shape.flatMap((size, i) => (i < skip || (x!.shape[i - skip] === 1 && size !== 1) ? [i] : []));
    return [reshape(dy!.sum(summed), x!.shape)];
  },
};

/** Repeats axes of size 1 without copying, NumPy's broadcasting; −1 keeps an axis. New axes come first. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const skip = listOf("expand", shape).length - x.rank;
  const full = shape.map((n, i) => (n === -1 && i >= skip ? x.shape[i - skip]! : n));
  if (sameShape(full, x.shape)) return x;
  const fits = skip >= 0 && x.shape.every((n, i) => n === 1 || n === full[skip + i]);
  if (!fits) {
    throw shapeError(
      "EXPAND",
      `expand: ${shown(x.shape)} does not broadcast to ${shown(shape)}`,
      "only axes of size 1 can be repeated; new axes come first",
      { from: x.shape, to: shape },
    );
  }
  return view(expandOp, x, { shape: checkShape("expand", full) });
}

export const sliceOp: ViewOp = {
  kind: "view",
  name: "slice",
  shape: (_input, { sizes }) => sizes as Shape,
  map(algebra, index, _input, _output, { starts, steps }) {
    return {
      index: index.map((part, i) =>
        algebra.add(algebra.scale(part, (steps as number[])[i]!), algebra.constant((starts as number[])[i]!)),
      ),
    };
  },
  vjp: ({ dy: [dy], inputs: [x], attributes }) => {
    const [starts, steps] = [attributes.starts as number[], attributes.steps as number[]];
    // Undo in reverse order: flip axes that ran backwards, space the elements out, put zeros around them.
    const flipped = flip(
      dy!,
      steps.flatMap((step, i) => (step < 0 ? [i] : [])),
    );
    const spaced = dilate(flipped, steps.map(Math.abs));
    const before = starts.map((start, i) => (steps[i]! < 0 ? start + steps[i]! * (dy!.shape[i]! - 1) : start));
    return [
      pad(
        spaced,
        before.map((b, i) => [b, x!.shape[i]! - b - spaced.shape[i]!] as const),
      ),
    ];
  },
};

/** A slice of one axis: one index (drops the axis), [start, end], or [start, end, step]; null keeps the axis. */
export type Slice = null | number | readonly [number | null, (number | null)?, number?];

/** Python's slicing, an argument per axis: `x.slice(null, 0)`, `x.slice([1, -1], [null, null, -1])`. */
export function slice(x: Tensor, ...axes: Slice[]): Tensor {
  if (axes.length > x.rank) {
    throw shapeError(
      "SLICE_RANK",
      `slice: ${axes.length} axes given for ${shown(x.shape)}`,
      "give at most one per axis",
    );
  }
  const starts: number[] = [];
  const sizes: number[] = [];
  const steps: number[] = [];
  const kept: number[] = [];
  x.shape.forEach((size, axis) => {
    const s = axes[axis] ?? null;
    if (typeof s === "number") {
      const at = s < 0 ? s + size : s;
      if (!Number.isInteger(s) || at < 0 || at >= size) {
        throw new VlmError("IndexRangeError", "INDEX_RANGE", {
          what: `slice: index ${s} on axis ${axis} of ${shown(x.shape)}`,
          where: currentPath() ?? undefined,
          hint: `indices run from ${-size} to ${size - 1}`,
        });
      }
      starts.push(at);
      sizes.push(1);
      steps.push(1);
      return;
    }
    const [from, to, step = 1] = s ?? [null];
    if (!Number.isInteger(step) || step === 0 || !Number.isInteger(from ?? 0) || !Number.isInteger(to ?? 0)) {
      throw new VlmError("ArgumentError", "SLICE_STEP", {
        what: `slice: ${from} to ${to} by ${step} on axis ${axis}`,
        hint: "they are whole numbers, and the step is not 0",
      });
    }
    const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v < 0 ? v + size : v, low), high);
    const start = step > 0 ? clamp(from ?? 0, 0, size) : from === null ? size - 1 : clamp(from, -1, size - 1);
    const end = step > 0 ? clamp(to ?? size, 0, size) : to === null || to === undefined ? -1 : clamp(to, -1, size - 1);
    starts.push(start);
    steps.push(step);
    sizes.push(Math.max(0, Math.ceil((end - start) / step)));
    kept.push(axis);
  });
  const identity = starts.every((start, i) => start === 0 && steps[i] === 1) && sameShape(sizes, x.shape);
  const cut = identity ? x : view(sliceOp, x, { starts, sizes, steps });
  return reshape(
    cut,
    kept.map((axis) => sizes[axis]!),
  );
}

/** Reverses the order along the given axes. */
export function flip(x: Tensor, axes: readonly number[]): Tensor {
  const flipped = new Set(listOf("flip", axes).map((axis) => axisOf("flip", axis, x.rank)));
  if (flipped.size === 0) return x;
  return slice(x, ...x.shape.map((_, i): Slice => (flipped.has(i) ? [null, null, -1] : null)));
}

/** Zeros (or `value`) around the elements. */
export const padOp: ViewOp = {
  kind: "view",
  name: "pad",
  shape: (input, { before, after }) => input.map((n, i) => n + (before as number[])[i]! + (after as number[])[i]!),
  map(algebra, index, input, _output, { before, after, value }) {
    const moved = index.map((part, i) => algebra.add(part, algebra.constant(-(before as number[])[i]!)));
    const conditions = moved.flatMap((part, i) =>
      (before as number[])[i] === 0 && (after as number[])[i] === 0 ? [] : [{ index: part, low: 0, high: input[i]! }],
    );
    return { index: moved, conditions, otherwise: value as number };
  },
  vjp: ({ dy: [dy], inputs: [x], attributes: { before } }) => [
    slice(dy!, ...x!.shape.map((n, i): Slice => [(before as number[])[i]!, (before as number[])[i]! + n])),
  ],
};

/** `value` around x: [before, after] for each axis (axes left out at the front are not padded). */
export function pad(x: Tensor, amounts: readonly (readonly [number, number])[], value = 0): Tensor {
  const fit = listOf("pad", amounts).map((pair) => listOf("pad", pair).length === 2 && pair.every((n) => n >= 0));
  const missing = x.rank - amounts.length;
  if (missing < 0 || fit.includes(false) || !amounts.flat().every(Number.isInteger)) {
    throw shapeError(
      "PAD_AMOUNTS",
      `pad: [${amounts.map((p) => p.join(" ")).join(", ")}] does not fit ${shown(x.shape)}`,
      "give [before, after] per axis, whole numbers ≥ 0; slice to remove elements",
    );
  }
  const before = x.shape.map((_, i) => amounts[i - missing]?.[0] ?? 0);
  const after = x.shape.map((_, i) => amounts[i - missing]?.[1] ?? 0);
  if (before.every((n) => n === 0) && after.every((n) => n === 0)) return x;
  return view(padOp, x, { before, after, value });
}

export const dilateOp: ViewOp = {
  kind: "view",
  name: "dilate",
  shape: (input, { steps }) => input.map((n, i) => (n === 0 ? 0 : (n - 1) * (steps as number[])[i]! + 1)),
  map(algebra, index, _input, _output, { steps }) {
    const conditions = index.flatMap((part, i) => {
      const step = (steps as number[])[i]!;
      return step === 1 ? [] : [{ index: algebra.mod(part, step), low: 0, high: 1 }];
    });
    return { index: index.map((part, i) => algebra.div(part, (steps as number[])[i]!)), conditions, otherwise: 0 };
  },
  vjp: ({ dy: [dy], attributes: { steps } }) => [
    slice(dy!, ...(steps as number[]).map((step): Slice => [null, null, step])),
  ],
};

/** step − 1 zeros between neighbours along each axis. */
export function dilate(x: Tensor, steps: readonly number[]): Tensor {
  if (counts("dilate", "steps", steps, x.rank).every((step) => step === 1)) return x;
  return view(dilateOp, x, { steps: [...steps] });
}

/** A whole number from 1 for each of `count` axes. */
function counts(op: string, what: string, values: readonly number[], count: number): readonly number[] {
  if (listOf(op, values).length === count && values.every((n) => Number.isInteger(n) && n >= 1)) return values;
  throw new VlmError("ArgumentError", "VIEW_OPTION", {
    what: `${op}: ${what} [${values.join(" ")}] for ${count} axes`,
    where: currentPath() ?? undefined,
    hint: "give a whole number ≥ 1 for each axis",
  });
}

export const windowOp: ViewOp = {
  kind: "view",
  name: "window",
  shape(input, { axes, sizes, strides, dilations }) {
    const out = [...input];
    (axes as number[]).forEach((axis, i) => {
      const reach = ((sizes as number[])[i]! - 1) * (dilations as number[])[i]! + 1;
      out[axis] = Math.max(0, Math.floor((input[axis]! - reach) / (strides as number[])[i]!) + 1);
    });
    return [...out, ...(sizes as number[])];
  },
  map(algebra, index, input, _output, { axes, strides, dilations }) {
    const mapped = index.slice(0, input.length);
    (axes as number[]).forEach((axis, i) => {
      mapped[axis] = algebra.add(
        algebra.scale(index[axis]!, (strides as number[])[i]!),
        algebra.scale(index[input.length + i]!, (dilations as number[])[i]!),
      );
    });
    return { index: mapped };
  },
  vjp: ({ dy: [dy], inputs: [x], attributes }) => {
    const [axes, sizes, strides, dilations] = ["axes", "sizes", "strides", "dilations"].map(
      (name) => attributes[name] as number[],
    );
    let grad = dy!;
    for (let i = axes!.length - 1; i >= 0; i--) {
      const placed = { axis: axes![i]!, stride: strides![i]!, dilation: dilations![i]!, window: sizes![i]! };
      grad = view(spreadOp, grad, { ...placed, length: x!.shape[placed.axis]! }).sum(-1);
    }
    return [grad];
  },
};

/** What windows read, put back: out[p, k] = in[o, k] where p = s·o + d·k, else 0 (k is the last axis). */
export const spreadOp: ViewOp = {
  kind: "view",
  name: "spread",
  shape: (input, { axis, length }) => input.map((n, i) => (i === axis ? (length as number) : n)),
  map(algebra, index, input, _output, attributes) {
    const { axis, stride: s, dilation: d, window } = attributes as Record<string, number>;
    const k = index[index.length - 1]!;
    // Shifted up by a multiple of s, so that the quotient is taken of a number ≥ 0.
    const shift = Math.ceil(((window! - 1) * d!) / s!);
    const at = algebra.add(algebra.add(index[axis!]!, algebra.scale(k, -d!)), algebra.constant(shift * s!));
    const o = algebra.add(algebra.div(at, s!), algebra.constant(-shift));
    const conditions = [{ index: o, low: 0, high: input[axis!]! }];
    if (s! > 1) conditions.push({ index: algebra.mod(at, s!), low: 0, high: 1 });
    return { index: index.map((part, i) => (i === axis ? o : part)), conditions, otherwise: 0 };
  },
  vjp: ({ dy: [dy], inputs: [x], attributes }) => [
    view(collectOp, dy!, { ...attributes, length: x!.shape[attributes.axis as number]! }),
  ],
};

/** Puts the windows of one axis back where they were read; see `spreadOp`. The window axis stays last, to be summed. */
export function spread(
  x: Tensor,
  place: { axis: number; stride: number; dilation: number; window: number; length: number },
): Tensor {
  return view(spreadOp, x, place);
}

/** The inverse of `spread`: out[o, k] = in[s·o + d·k, k]. */
export const collectOp: ViewOp = {
  kind: "view",
  name: "collect",
  shape: (input, { axis, length }) => input.map((n, i) => (i === axis ? (length as number) : n)),
  map(algebra, index, _input, _output, attributes) {
    const { axis, stride: s, dilation: d } = attributes as Record<string, number>;
    const at = algebra.add(algebra.scale(index[axis!]!, s!), algebra.scale(index[index.length - 1]!, d!));
    return { index: index.map((part, i) => (i === axis ? at : part)) };
  },
  vjp: ({ dy: [dy], inputs: [x], attributes }) => [
    view(spreadOp, dy!, { ...attributes, length: x!.shape[attributes.axis as number]! }),
  ],
};

/**
 * Sliding windows over some axes: axis a of size n becomes ⌊(n − d·(k − 1) − 1)/s⌋ + 1 positions, and a new last axis of
 * size k (per windowed axis, in order) walks the window. The im2col of convolution, without a copy.
 */
export function windows(
  x: Tensor,
  axes: readonly number[],
  sizes: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): Tensor {
  const each = (what: string, values: readonly number[]): readonly number[] =>
    counts("windows", what, values, axes.length);
  return view(windowOp, x, {
    axes: listOf("windows", axes).map((axis) => axisOf("windows", axis, x.rank)),
    sizes: each("sizes", sizes),
    strides: each("strides", strides),
    dilations: each("dilations", dilations),
  });
}

/** Adds an axis of size 1 before `axis` (after the last one for −1). */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axis < 0 ? axis + x.rank + 1 : axis;
  axisOf("unsqueeze", at, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Drops axes of size 1: the given ones, or all. */
export function squeeze(x: Tensor, axes?: number | readonly number[]): Tensor {
  const drop = axes === undefined ? null : [axes].flat().map((axis) => axisOf("squeeze", axis as number, x.rank));
  for (const axis of drop ?? []) {
    if (x.shape[axis] !== 1) {
      throw shapeError(
        "SQUEEZE_SIZE",
        `squeeze: axis ${axis} of ${shown(x.shape)} is not of size 1`,
        "index it instead",
      );
    }
  }
  return reshape(
    x,
    x.shape.filter((n, i) => (drop ? !drop.includes(i) : n !== 1)),
  );
}
