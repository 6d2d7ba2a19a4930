/**
 * Convolutions of any number of spatial axes, as one contraction over windows of the padded input: the windows are a
 * view, so devices gather them while they multiply (implicit GEMM). The two gradients are contractions of the same kind.
 */
import type { Attributes, KernelOp } from "../op.ts";
import { sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { callFirst, defineComposite } from "./composite.ts";
import { expand, flip, pad, permute, reshape, type Slice, slice, spread, windows } from "./view.ts";

/** Everything about a convolution y [B O P…] = x [B C S…] ∗ w [O C/g K…]; lists have one entry per spatial axis. */
export type ConvolutionAttributes = {
  readonly stride: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /** S, the spatial size of x. */
  readonly size: readonly number[];
  /** K, the size of the kernel. */
  readonly kernel: readonly number[];
};

const read = (attributes: Attributes): ConvolutionAttributes => attributes as ConvolutionAttributes;

/** P, the spatial size of y. */
export const outputSize = ({ stride, before, after, dilation, size, kernel }: ConvolutionAttributes): number[] =>
  size.map((n, i) => Math.floor((n + before[i]! + after[i]! - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1);

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

/** Padding of the last axes; negative amounts cut. */
function padOrCrop(x: Tensor, before: readonly number[], after: readonly number[]): Tensor {
  const lead = x.rank - before.length;
  const cut = x.shape.map((n, i): Slice => {
    const [b, a] = [before[i - lead] ?? 0, after[i - lead] ?? 0];
    return b < 0 || a < 0 ? [Math.max(0, -b), n - Math.max(0, -a)] : null;
  });
  const kept = cut.some((c) => c !== null) ? slice(x, ...cut) : x;
  return pad(
    kept,
    before.map((b, i) => [Math.max(0, b), Math.max(0, after[i]!)] as const),
  );
}

/** Windows of padded x as [B g C/g P… K…]. */
function patches(x: Tensor, attributes: ConvolutionAttributes): Tensor {
  const { before, after, stride, dilation, groups, kernel } = attributes;
  const spatial = kernel.length;
  const padded = padOrCrop(x, before, after);
  const view = windows(padded, range(2, spatial), kernel, stride, dilation);
  return reshape(view, [x.shape[0]!, groups, x.shape[1]! / groups, ...view.shape.slice(2)]);
}

/** Inputs x and w, output y. */
export const convolutionOp: KernelOp = defineComposite({
  name: "convolution",
  outputs: ([x, w], attributes) => [
    { shape: [x!.shape[0]!, w!.shape[0]!, ...outputSize(read(attributes))], dtype: x!.dtype },
  ],
  reference([x, w], attributes) {
    const { groups, kernel } = read(attributes);
    const spatial = kernel.length;
    const view = patches(x!, read(attributes));
    const [batch, , channels] = view.shape as [number, number, number];
    const positions = view.shape.slice(3, 3 + spatial);
    const inner = channels * sizeOf(kernel);
    const out = w!.shape[0]! / groups;
    // [B g C/g K… P…], flattened to a matrix [C/g·K, P] per batch element and group.
    const order = [0, 1, 2, ...range(3 + spatial, spatial), ...range(3, spatial)];
    const right = reshape(permute(view, order), [batch, groups, inner, sizeOf(positions)]);
    const left = expand(reshape(w!, [1, groups, out, inner]), [batch, groups, out, inner]);
    return [left.matmul(right).reshape([batch, w!.shape[0]!, ...positions])];
  },
  vjp: ({ dy: [dy], inputs: [x, w], attributes }) => [
    callFirst(convolutionInputOp, [dy!, w!], attributes),
    callFirst(convolutionWeightOp, [x!, dy!], attributes),
  ],
});

/** The gradient with respect to x, which is also the transposed convolution: inputs dy and w, output dx. */
export const convolutionInputOp: KernelOp = defineComposite({
  name: "convolutionInput",
  outputs: ([dy, w], attributes) => [
    { shape: [dy!.shape[0]!, w!.shape[1]! * read(attributes).groups, ...read(attributes).size], dtype: dy!.dtype },
  ],
  reference([dy, w], attributes) {
    const of = read(attributes);
    return [of.stride.every((s) => s === 1) ? correlate(dy!, w!, of) : spreadColumns(dy!, w!, of)];
  },
  vjp: ({ dy: [ddx], inputs: [dy, w], attributes }) => [
    callFirst(convolutionOp, [ddx!, w!], attributes),
    callFirst(convolutionWeightOp, [ddx!, dy!], attributes),
  ],
});

/** The gradient with respect to w: inputs x and dy, output dw. One contraction over batch and positions together. */
export const convolutionWeightOp: KernelOp = defineComposite({
  name: "convolutionWeight",
  outputs: ([x, dy], attributes) => {
    const { groups, kernel } = read(attributes);
    return [{ shape: [dy!.shape[1]!, x!.shape[1]! / groups, ...kernel], dtype: x!.dtype }];
  },
  reference([x, dy], attributes) {
    const { groups, kernel } = read(attributes);
    const spatial = kernel.length;
    const view = patches(x!, read(attributes));
    const [batch, , channels] = view.shape as [number, number, number];
    const positions = view.shape.slice(3, 3 + spatial);
    const out = dy!.shape[1]! / groups;
    const sum = batch * sizeOf(positions);
    const split = reshape(dy!, [batch, groups, out, ...positions]);
    const left = reshape(permute(split, [1, 2, 0, ...range(3, spatial)]), [groups, out, sum]);
    const order = [1, 0, ...range(3, spatial), 2, ...range(3 + spatial, spatial)];
    const right = reshape(permute(view, order), [groups, sum, channels * sizeOf(kernel)]);
    return [left.matmul(right).reshape([dy!.shape[1]!, channels, ...kernel])];
  },
  vjp: ({ dy: [ddw], inputs: [x, dy], attributes }) => [
    callFirst(convolutionInputOp, [dy!, ddw!], attributes),
    callFirst(convolutionOp, [x!, ddw!], attributes),
  ],
});

/** w [O C/g K…] with inputs and outputs exchanged and turned around: [C O/g K…]. */
function turned(w: Tensor, groups: number): Tensor {
  const [out, channels, ...kernel] = w.shape as [number, number, ...number[]];
  const split = reshape(w, [groups, out / groups, channels, ...kernel]);
  const axes = range(3, kernel.length);
  return reshape(permute(flip(split, axes), [0, 2, 1, ...axes]), [groups * channels, out / groups, ...kernel]);
}

/** Stride 1: dx is a convolution of dy with the turned kernel. */
function correlate(dy: Tensor, w: Tensor, of: ConvolutionAttributes): Tensor {
  const reach = of.kernel.map((k, i) => of.dilation[i]! * (k - 1));
  const size = dy.shape.slice(2);
  return callFirst(convolutionOp, [dy, turned(w, of.groups)], {
    ...of,
    size,
    before: reach.map((r, i) => r - of.before[i]!),
    after: size.map((_, i) => of.size[i]! + of.before[i]! - size[i]!),
  });
}

/**
 * Greater strides: the columns wᵀ·dy, then each input position sums those that touch it. (A convolution of dy with zeros
 * between would multiply mostly zeros.) Windows that do not overlap only move.
 */
function spreadColumns(dy: Tensor, w: Tensor, of: ConvolutionAttributes): Tensor {
  const { groups, kernel, stride, dilation, before, after, size } = of;
  const spatial = kernel.length;
  const [batch, out] = dy.shape as [number, number];
  const channels = w.shape[1]!;
  const positions = dy.shape.slice(2);
  const left = reshape(w, [1, groups, out / groups, channels * sizeOf(kernel)]).transpose();
  const right = reshape(dy, [batch, groups, out / groups, sizeOf(positions)]);
  const flat = expand(left, [batch, ...left.shape.slice(1)]).matmul(right);
  const columns = reshape(flat, [batch, groups * channels, ...kernel, ...positions]);
  const padded = size.map((n, i) => n + before[i]! + after[i]!);
  if (kernel.every((k, i) => k === stride[i]! && dilation[i] === 1)) {
    // [B C K… P…] → [B C P₁ K₁ P₂ K₂ …]: the windows side by side.
    const order = [0, 1, ...range(0, spatial).flatMap((i) => [2 + spatial + i, 2 + i])];
    const tiled = reshape(permute(columns, order), [
      batch,
      groups * channels,
      ...positions.map((p, i) => p * kernel[i]!),
    ]);
    return padOrCrop(
      tiled,
      before.map((b) => -b),
      size.map((n, i) => n + before[i]! - positions[i]! * kernel[i]!),
    );
  }
  // [B C P… K…], then one axis after the other from the last window axis to the first.
  const order = [0, 1, ...range(2 + spatial, spatial), ...range(2, spatial)];
  let dx = permute(columns, order);
  for (let i = spatial - 1; i >= 0; i--) {
    dx = spread(dx, {
      axis: 2 + i,
      stride: stride[i]!,
      dilation: dilation[i]!,
      window: kernel[i]!,
      length: padded[i]!,
    }).sum(-1);
  }
  return padOrCrop(
    dx,
    before.map((b) => -b),
    after.map((a) => -a),
  );
}
