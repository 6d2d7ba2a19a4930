/** Normalisations, computed in f32. Each normalises by statistics of its input; scale and shift fuse behind. */
import { type DType, isFloat } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import { callKernel } from "../graph/kernel.ts";
import type { KernelOp } from "../op.ts";
import { axesOf, shapeError, shown, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { defineComposite, isZero, perChannel } from "./composite.ts";
import { inSingle } from "./softmax.ts";

const keep = { keepDims: true };

/**
 * y = (x − mean x)·r, r = 1/√(var x + ε), over axes; without `centre`, y = x·r with r = 1/√(mean x² + ε).
 * Outputs: y and r (axes of size 1). Attributes: axes, eps, centre.
 */
export const normalizeOp: KernelOp = defineComposite({
  name: "normalize",
  outputs: ([x], { axes }) => [
    x!,
    { shape: x!.shape.map((n, i) => ((axes as number[]).includes(i) ? 1 : n)), dtype: x!.dtype },
  ],
  reference([x], attributes) {
    const axes = attributes.axes as number[];
    const moved = attributes.centre ? x!.sub(x!.mean(axes, keep)) : x!;
    const r = moved
      .mul(moved)
      .mean(axes, keep)
      .add(attributes.eps as number)
      .rsqrt();
    return [moved.mul(r), r];
  },
  // dx = r·(dy − mean dy − y·mean(dy·y)); the output r contributes −r²·y·dr / n.
  vjp({ dy: [dy, dr], outputs: [y, r], attributes }) {
    const axes = attributes.axes as number[];
    const along = y!.mul(dy!.mul(y!).mean(axes, keep));
    const level = attributes.centre ? dy!.sub(dy!.mean(axes, keep)) : dy!;
    const dx = r!.mul(level.sub(along));
    if (isZero(dr!)) return [dx];
    const count = sizeOf(axes.map((i) => y!.shape[i]!));
    return [dx.sub(y!.mul(r!.mul(r!).mul(dr!)).mul(1 / count))];
  },
});

function normalize(x: Tensor, axes: readonly number[], eps: number, centre: boolean): Tensor {
  return callKernel(normalizeOp, [x], { axes: [...axes], eps, centre })[0]!;
}

/** Gain, bias and ε of a normalisation. */
export type NormOptions = {
  /** Multiplied after normalising; the shape of the normalised axes. */
  weight?: Tensor | null;
  /** Added last. */
  bias?: Tensor | null;
  eps?: number;
};

function affine(op: string, y: Tensor, { weight, bias }: NormOptions): Tensor {
  const fitting = (parameter: Tensor): Tensor => {
    const skip = y.rank - parameter.rank;
    if (skip >= 0 && parameter.shape.every((n, i) => n === 1 || n === y.shape[skip + i])) return parameter.cast("f32");
    throw shapeError(
      "NORM_PARAMETER",
      `${op}: weight or bias ${shown(parameter.shape)} does not fit ${shown(y.shape)}`,
      "it has the sizes of the axes that are normalised",
      { op, parameter: parameter.shape, x: y.shape },
    );
  };
  const scaled = weight ? y.mul(fitting(weight)) : y;
  return bias ? scaled.add(fitting(bias)) : scaled;
}

/** Layer normalisation over the last axis, or the given last axes (Ba et al. 2016). Default ε 10⁻⁵. */
export function layerNorm(x: Tensor, options: NormOptions & { axes?: number | readonly number[] } = {}): Tensor {
  const axes = axesOf("layerNorm", options.axes ?? -1, x.rank);
  return inSingle("layerNorm", x, (single) =>
    affine("layerNorm", normalize(single, axes, options.eps ?? 1e-5, true), options),
  );
}

/** Root-mean-square normalisation over the last axis (Zhang & Sennrich 2019). Default ε 10⁻⁶. */
export function rmsNorm(x: Tensor, options: NormOptions & { axes?: number | readonly number[] } = {}): Tensor {
  const axes = axesOf("rmsNorm", options.axes ?? -1, x.rank);
  return inSingle("rmsNorm", x, (single) =>
    affine("rmsNorm", normalize(single, axes, options.eps ?? 1e-6, false), options),
  );
}

/** Group normalisation of [B C …]: statistics over each group of channels and all positions (Wu & He 2018). Default ε 10⁻⁵. */
export function groupNorm(x: Tensor, groups: number, options: NormOptions = {}): Tensor {
  const [batch, channels] = x.shape;
  if (x.rank < 2 || !Number.isInteger(groups) || groups < 1 || channels! % groups !== 0) {
    throw shapeError(
      "GROUP_NORM",
      `groupNorm: ${groups} groups do not divide the channels of ${shown(x.shape)}`,
      "the shape is [B C …], and C must be a multiple of the groups",
    );
  }
  return inSingle("groupNorm", x, (single) => {
    const split = single.reshape([batch!, groups, x.size === 0 ? 0 : x.size / (batch! * groups)]);
    const y = normalize(split, [2], options.eps ?? 1e-5, true).reshape(x.shape);
    const [weight, bias] = [options.weight, options.bias].map((parameter) => perChannel("groupNorm", parameter, x));
    return affine("groupNorm", y, { weight: weight!, bias: bias! });
  });
}

/** Options of `batchNorm`. */
export type BatchNormOptions = NormOptions & {
  /** Running statistics [C] to normalise by; without them, the batch's own. */
  mean?: Tensor;
  variance?: Tensor;
};

/**
 * Batch normalisation of [B C …] (Ioffe & Szegedy 2015), by given statistics or by the batch's own over all axes but the
 * channel's. Default ε 10⁻⁵. Keeping running averages is the layer's business.
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const { mean, variance, eps = 1e-5 } = options;
  if ((mean === undefined) !== (variance === undefined)) {
    throw new VlmError("ArgumentError", "BATCH_NORM_STATISTICS", {
      what: "batchNorm: only one of mean and variance is given",
      hint: "give both, or none to use the batch's own",
    });
  }
  const [weight, bias, centre, spread] = [options.weight, options.bias, mean, variance].map((parameter) =>
    perChannel("batchNorm", parameter, x),
  );
  const parameters = { weight: weight!, bias: bias! };
  return inSingle("batchNorm", x, (single) => {
    if (!centre || !spread) {
      const axes = x.shape.map((_, i) => i).filter((i) => i !== 1);
      return affine("batchNorm", normalize(single, axes, eps, true), parameters);
    }
    const scale = spread.cast("f32").add(eps).rsqrt();
    return affine("batchNorm", single.sub(centre.cast("f32")).mul(scale), parameters);
  });
}

/** x divided by its length √Σx² along an axis; lengths below ε count as ε. */
export function l2Normalize(x: Tensor, axis = -1, eps = 1e-12): Tensor {
  const dtype: DType = isFloat(x.dtype) ? x.dtype : "f32";
  const single = x.cast("f32");
  const length = single
    .mul(single)
    .sum(axis, keep)
    .maximum(eps * eps)
    .rsqrt();
  return single.mul(length).cast(dtype);
}
