/** Convolution layers' arithmetic: options in words, checks, bias. */
import { currentPath } from "../context.ts";
import { VlmError } from "../errors.ts";
import { shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { callFirst, perChannel } from "./composite.ts";
import { type ConvolutionAttributes, convolutionInputOp, convolutionOp, outputSize } from "./convolution.ts";

/** One number for all spatial axes, or one per axis. */
export type PerAxis = number | readonly number[];

/**
 * Zeros around the input: a number, one per axis ([before, after] where they differ), or "same": as many as make the
 * output ⌈size / stride⌉, the odd one after.
 */
export type Padding = number | "same" | readonly (number | readonly [number, number])[];

/** Options of convolutions, the same for each axis or one per axis. */
export type ConvOptions = {
  /** [O], added to the result. */
  bias?: Tensor | null;
  stride?: PerAxis;
  padding?: Padding;
  dilation?: PerAxis;
  groups?: number;
};

/** Options of transposed convolutions. */
export type ConvTransposeOptions = Omit<ConvOptions, "padding"> & {
  /** Removed around the result: what the forward convolution pads. */
  padding?: Exclude<Padding, "same">;
  /** Added to the result's size after each axis; less than the stride. */
  outputPadding?: PerAxis;
};

/** One value per spatial axis. */
export function perAxis(op: string, name: string, value: PerAxis, spatial: number, least: number): number[] {
  const list = typeof value === "number" ? new Array<number>(Math.max(0, spatial)).fill(value) : [...value];
  if (spatial > 0 && list.length === spatial && list.every((n) => Number.isInteger(n) && n >= least)) return list;
  throw new VlmError("ArgumentError", "CONV_OPTION", {
    what: `${op}: ${name} is [${list.join(" ")}] for ${spatial} spatial axes`,
    where: currentPath() ?? undefined,
    hint: spatial > 0 ? `give one whole number ≥ ${least}, or one per axis` : "the shape is [batch channels …]",
  });
}

/** Padding before and after each spatial axis. */
export function paddingOf(
  op: string,
  padding: Padding,
  size: readonly number[],
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): { before: number[]; after: number[] } {
  if (padding === "same") {
    const total = size.map((n, i) =>
      Math.max(0, (Math.ceil(n / stride[i]!) - 1) * stride[i]! + dilation[i]! * (kernel[i]! - 1) + 1 - n),
    );
    return { before: total.map((t) => Math.floor(t / 2)), after: total.map((t) => Math.ceil(t / 2)) };
  }
  const list = Array.isArray(padding) ? (padding as readonly (number | readonly number[])[]) : size.map(() => padding);
  const pairs = list.map((p) => (Array.isArray(p) && p.length === 2 ? p : [p, p]));
  const side = (i: number): number[] =>
    perAxis(
      op,
      "padding",
      pairs.map((p) => p[i] as number),
      size.length,
      0,
    );
  return { before: side(0), after: side(1) };
}

function withBias(op: string, y: Tensor, bias: Tensor | null | undefined): Tensor {
  return bias ? y.add(perChannel(op, bias, y)!) : y;
}

function convShape(op: string, x: Tensor, w: Tensor, hint: string): VlmError {
  return shapeError("CONV_SHAPE", `${op}: input ${shown(x.shape)} and weight ${shown(w.shape)} do not fit`, hint, {
    x: x.shape,
    weight: w.shape,
  });
}

const groupsOf = (op: string, { groups = 1 }: ConvOptions | ConvTransposeOptions): number =>
  perAxis(op, "groups", groups, 1, 1)[0]!;

function convolve(op: string, spatial: number, x: Tensor, weight: Tensor, options: ConvOptions): Tensor {
  const groups = groupsOf(op, options);
  if (x.rank !== spatial + 2 || weight.rank !== spatial + 2) {
    throw convShape(op, x, weight, `both have rank ${spatial + 2}: [batch channels …] and [out in/groups …]`);
  }
  const [size, kernel] = [x.shape.slice(2), weight.shape.slice(2)];
  if (x.shape[1] !== weight.shape[1]! * groups || weight.shape[0]! % groups !== 0) {
    throw convShape(
      op,
      x,
      weight,
      `with ${groups} groups, the input has groups × weight axis 1 channels and groups divide axis 0`,
    );
  }
  const stride = perAxis(op, "stride", options.stride ?? 1, spatial, 1);
  const dilation = perAxis(op, "dilation", options.dilation ?? 1, spatial, 1);
  const padding = paddingOf(op, options.padding ?? 0, size, kernel, stride, dilation);
  const attributes: ConvolutionAttributes = { stride, ...padding, dilation, groups, size, kernel };
  if (kernel.includes(0) || outputSize(attributes).some((n) => n < 1)) {
    throw convShape(op, x, weight, "the kernel is empty, or larger than the padded input");
  }
  return withBias(op, callFirst(convolutionOp, [x, weight.cast(x.dtype)], attributes), options.bias);
}

function convolveTransposed(
  op: string,
  spatial: number,
  x: Tensor,
  weight: Tensor,
  options: ConvTransposeOptions,
): Tensor {
  const groups = groupsOf(op, options);
  if (x.rank !== spatial + 2 || weight.rank !== spatial + 2) {
    throw convShape(op, x, weight, `both have rank ${spatial + 2}: [batch channels …] and [in out/groups …]`);
  }
  if (x.shape[1] !== weight.shape[0] || weight.shape[0]! % groups !== 0) {
    throw convShape(op, x, weight, `the input's channels are the weight's axis 0, a multiple of ${groups} groups`);
  }
  const kernel = weight.shape.slice(2);
  const stride = perAxis(op, "stride", options.stride ?? 1, spatial, 1);
  const dilation = perAxis(op, "dilation", options.dilation ?? 1, spatial, 1);
  const extra = perAxis(op, "outputPadding", options.outputPadding ?? 0, spatial, 0);
  const { before, after } = paddingOf(op, options.padding ?? 0, x.shape.slice(2), kernel, stride, dilation);
  const size = kernel.map(
    (k, i) => (x.shape[2 + i]! - 1) * stride[i]! + dilation[i]! * (k - 1) + 1 - before[i]! - after[i]! + extra[i]!,
  );
  if (size.some((n) => n < 1) || extra.some((e, i) => e >= Math.max(stride[i]!, dilation[i]!))) {
    throw convShape(op, x, weight, "the padding removes everything, or outputPadding is not below the stride");
  }
  // What output padding adds lies beyond the last window.
  const attributes: ConvolutionAttributes = {
    stride,
    before,
    after: after.map((a, i) => a - Math.max(0, extra[i]! - (stride[i]! - 1))),
    dilation,
    groups,
    size,
    kernel,
  };
  return withBias(op, callFirst(convolutionInputOp, [x, weight.cast(x.dtype)], attributes), options.bias);
}

/** 1-d convolution (cross-correlation) of [B C L] with weight [O C/groups K] → [B O L′]. */
export const conv1d = (x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor =>
  convolve("conv1d", 1, x, weight, options);
/** 2-d convolution (cross-correlation) of [B C H W] with weight [O C/groups KH KW] → [B O H′ W′]. */
export const conv2d = (x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor =>
  convolve("conv2d", 2, x, weight, options);
/** 3-d convolution (cross-correlation) of [B C D H W] with weight [O C/groups KD KH KW]. */
export const conv3d = (x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor =>
  convolve("conv3d", 3, x, weight, options);
/** Transposed 1-d convolution of [B C L] with weight [C O/groups K]: the gradient of conv1d as a layer. */
export const convTranspose1d = (x: Tensor, weight: Tensor, options: ConvTransposeOptions = {}): Tensor =>
  convolveTransposed("convTranspose1d", 1, x, weight, options);
/** Transposed 2-d convolution of [B C H W] with weight [C O/groups KH KW]. */
export const convTranspose2d = (x: Tensor, weight: Tensor, options: ConvTransposeOptions = {}): Tensor =>
  convolveTransposed("convTranspose2d", 2, x, weight, options);
