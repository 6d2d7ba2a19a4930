/** Distributions that papers start training from. */
import { drawKey, fill, random, type Shape, type Tensor } from "@vlm/core";

/** Makes the first value of a parameter of `shape`, f32. Weights are [out in …window], so that fans can be counted. */
export type Initializer = (shape: Shape, key: Tensor) => Tensor;

/** Inputs and outputs of one unit: the second and first axis, times the size of the window. */
export function fansOf(shape: Shape): { fanIn: number; fanOut: number } {
  const window = shape.slice(2).reduce((product, n) => product * n, 1);
  const [out = 1, inner = out] = shape;
  return { fanIn: inner * window, fanOut: out * window };
}

/** The same number everywhere. */
export const constant =
  (value: number): Initializer =>
  (shape) =>
    fill(value, shape);

/** Normal with mean 0. */
export const normal =
  (std: number): Initializer =>
  (shape, key) =>
    random.normal(key, shape, { std });

/** Uniform in [−limit, limit). */
export const uniform =
  (limit: number): Initializer =>
  (shape, key) =>
    random.uniform(key, shape, -limit, limit);

/**
 * Normal with mean 0 and standard deviation `std` *before* cutting, cut at ±`cut`·std. Vision transformers use std 0.02;
 * PyTorch's `trunc_normal_` cuts at ±2 in absolute terms, which for std 0.02 means never.
 */
export const truncatedNormal =
  (std: number, cut = 2): Initializer =>
  (shape, key) =>
    random.truncatedNormal(key, shape, { std, low: -cut, high: cut });

/** Glorot & Bengio 2010, eq. 16: uniform, variance 2 / (fanIn + fanOut). */
export const xavierUniform =
  (gain = 1): Initializer =>
  (shape, key) => {
    const { fanIn, fanOut } = fansOf(shape);
    return uniform(gain * Math.sqrt(6 / (fanIn + fanOut)))(shape, key);
  };

/** Glorot & Bengio 2010 as a normal: variance 2 / (fanIn + fanOut). */
export const xavierNormal =
  (gain = 1): Initializer =>
  (shape, key) => {
    const { fanIn, fanOut } = fansOf(shape);
    return normal(gain * Math.sqrt(2 / (fanIn + fanOut)))(shape, key);
  };

/** He et al. 2015, eq. 10, uniform: variance 2 / fan, for ReLU. */
export const kaimingUniform =
  (fan: "in" | "out" = "in"): Initializer =>
  (shape, key) =>
    uniform(Math.sqrt(6 / fanOf(shape, fan)))(shape, key);

/** He et al. 2015, eq. 10: normal with variance 2 / fan, for ReLU. ResNets use fan "out". */
export const kaimingNormal =
  (fan: "in" | "out" = "in"): Initializer =>
  (shape, key) =>
    normal(Math.sqrt(2 / fanOf(shape, fan)))(shape, key);

/** LeCun et al. 1998, section 4.6: normal with variance 1 / fanIn. */
export const lecunNormal = (): Initializer => (shape, key) => normal(Math.sqrt(1 / fanOf(shape, "in")))(shape, key);

/**
 * How the blocks of CLIP's towers start (Radford et al. 2021, section 2.5, and their code): normal, by width, and narrower
 * by √(2·depth) where a block writes to the residual stream (Radford et al. 2019). The usual 0.02 is near that in wide
 * networks (1/√768 is 0.036); at width 128, where this is 0.088, it leaves blocks nearly silent.
 */
export const residualInit = (width: number, depth: number): Record<"init" | "mlpInit" | "outInit", Initializer> => ({
  init: normal(width ** -0.5),
  mlpInit: normal((2 * width) ** -0.5),
  outInit: normal((2 * width * depth) ** -0.5),
});

/** What PyTorch gives linear and convolution layers: uniform in ±1/√fanIn (`kaiming_uniform_` with a = √5). */
export const torchUniform = (): Initializer => (shape, key) => uniform(1 / Math.sqrt(fanOf(shape, "in")))(shape, key);

const fanOf = (shape: Shape, fan: "in" | "out"): number =>
  Math.max(1, fansOf(shape)[fan === "in" ? "fanIn" : "fanOut"]);

let drawn = 0;

/**
 * A fresh key for a parameter: drawn from the key of the context, `context({ key }, () => new Model(config))`. Without
 * one, keys follow from a fixed seed and the number of parameters made so far in this program.
 */
export function initialKey(): Tensor {
  const draw = drawKey();
  return draw ? random.fold(draw.key, draw.draw) : random.fold(random.key(0), drawn++);
}
