/** Pooling over windows of [B C S…]. */
import { isFloat } from "../dtype.ts";
import { shapeError, shown, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { type Padding, type PerAxis, paddingOf, perAxis } from "./conv.ts";
import { maxOp, reduce } from "./reduce.ts";
import { iota } from "./source.ts";
import { pad, windows } from "./view.ts";

/** Options of pooling. */
export type PoolOptions = {
  /** Distance of neighbouring windows; the window's size by default. */
  stride?: PerAxis;
  padding?: Padding;
  dilation?: PerAxis;
  /** Also take windows that only start inside the padded input: sizes round up. */
  ceil?: boolean;
};

type Layout = {
  spatial: number;
  size: number[];
  kernel: number[];
  stride: number[];
  dilation: number[];
  before: number[];
  after: number[];
  /** More room at the end, for windows that reach out. */
  room: number[];
};

function layoutOf(op: string, x: Tensor, window: PerAxis, options: PoolOptions): Layout {
  const spatial = x.rank - 2;
  if (spatial < 1)
    throw shapeError("POOL_SHAPE", `${op}: ${shown(x.shape)} has no spatial axes`, "the shape is [batch channels …]");
  const size = x.shape.slice(2);
  const kernel = perAxis(op, "window", window, spatial, 1);
  const stride = perAxis(op, "stride", options.stride ?? kernel, spatial, 1);
  const dilation = perAxis(op, "dilation", options.dilation ?? 1, spatial, 1);
  const { before, after } = paddingOf(op, options.padding ?? 0, size, kernel, stride, dilation);
  const room = size.map((n, i) => {
    const reach = dilation[i]! * (kernel[i]! - 1) + 1;
    const free = n + before[i]! + after[i]! - reach;
    if (free < 0 && !options.ceil) {
      throw shapeError(
        "POOL_SHAPE",
        `${op}: a window of ${reach} does not fit axis ${i + 2} of ${shown(x.shape)}`,
        "pad, or take a smaller window",
      );
    }
    if (!options.ceil) return 0;
    let count = Math.ceil(free / stride[i]!) + 1;
    // The last window must start inside the input or the padding before it.
    if ((count - 1) * stride[i]! >= n + before[i]!) count--;
    return Math.max(0, (count - 1) * stride[i]! - free);
  });
  return { spatial, size, kernel, stride, dilation, before, after, room };
}

/** Windows of x padded with `value`: [B C P… K…]. */
function windowsOf(x: Tensor, of: Layout, value: number): Tensor {
  const axes = of.size.map((_, i) => i + 2);
  const padded = pad(
    x,
    of.before.map((b, i) => [b, of.after[i]! + of.room[i]!] as const),
    value,
  );
  return windows(padded, axes, of.kernel, of.stride, of.dilation);
}

const windowAxes = (of: Layout): number[] => of.kernel.map((_, i) => 2 + of.spatial + i);

/** Greatest element of each window; padding never wins. Equal greatest elements share the gradient. */
export function maxPool(x: Tensor, window: PerAxis, options: PoolOptions = {}): Tensor {
  const of = layoutOf("maxPool", x, window, options);
  return reduce(maxOp, windowsOf(x, of, maxOp.identity(x.dtype)), windowAxes(of));
}

/** Options of average pooling. */
export type AveragePoolOptions = PoolOptions & {
  /** Padding counts as zeros that are averaged over; else only elements of x count. Default true, as in PyTorch. */
  countPadding?: boolean;
};

/** Mean of each window. */
export function avgPool(x: Tensor, window: PerAxis, options: AveragePoolOptions = {}): Tensor {
  const of = layoutOf("avgPool", x, window, options);
  const dtype = isFloat(x.dtype) ? x.dtype : "f32";
  const sum = windowsOf(x.cast("f32"), of, 0).sum(windowAxes(of));
  const counted = options.countPadding ?? true;
  const full = of.room.every((r) => r === 0) && (counted || [...of.before, ...of.after].every((p) => p === 0));
  if (full) return sum.mul(1 / sizeOf(of.kernel)).cast(dtype);
  let counts: Tensor | null = null;
  of.size.forEach((n, i) => {
    const along = countsAlong(of, i, counted ? -of.before[i]! : 0, counted ? n + of.after[i]! : n);
    const shaped = along.reshape(of.size.map((_, k) => (k === i ? along.size : 1)));
    counts = counts ? counts.mul(shaped) : shaped;
  });
  return sum.div(counts!).cast(dtype);
}

/** How many elements of each window lie in low … high − 1, positions of x along spatial axis i, as f32 [P]. */
function countsAlong(of: Layout, i: number, low: number, high: number): Tensor {
  const reach = of.dilation[i]! * (of.kernel[i]! - 1) + 1;
  const total = of.size[i]! + of.before[i]! + of.after[i]! + of.room[i]!;
  const positions = Math.floor((total - reach) / of.stride[i]!) + 1;
  const start = iota(positions).mul(of.stride[i]!).sub(of.before[i]!).reshape([positions, 1]);
  const at = start.add(iota(of.kernel[i]!).mul(of.dilation[i]!).reshape([1, of.kernel[i]!]));
  return at.ge(low).cast("f32").mul(at.lt(high).cast("f32")).sum(1);
}

/** Mean over all spatial positions: [B C S…] → [B C]. */
export const globalAvgPool = (x: Tensor): Tensor => x.mean(x.shape.map((_, i) => i).slice(2));

/** Mean over `size` cells per spatial axis, cell i from ⌊i·n/size⌋ to ⌈(i + 1)·n/size⌉ (PyTorch's adaptive average). */
export function adaptiveAvgPool(x: Tensor, size: PerAxis): Tensor {
  const spatial = x.rank - 2;
  const target = perAxis("adaptiveAvgPool", "size", size, spatial, 1);
  let y = x.cast("f32");
  target.forEach((cells, i) => {
    const axis = i + 2;
    const n = x.shape[axis]!;
    const cell = iota(cells).reshape([cells, 1]);
    const [start, end] = [
      cell.mul(n).div(cells),
      cell
        .add(1)
        .mul(n)
        .add(cells - 1)
        .div(cells),
    ];
    const at = iota(n).reshape([1, n]);
    const inside = at.ge(start).cast("f32").mul(at.lt(end).cast("f32")); // [cells n]
    const weights = inside.div(end.sub(start).cast("f32"));
    y = y.transpose(axis, -1).matmul(weights.transpose()).transpose(axis, -1);
  });
  return y.cast(isFloat(x.dtype) ? x.dtype : "f32");
}
