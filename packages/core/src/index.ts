export type { Backend, Buffer, Executable } from "./backends/backend.ts";
export { Cell, type CellGroup, type CellOptions, commit, isCellGroup } from "./cell.ts";
export { type CompileOptions, compile } from "./compile.ts";
export { type CompileProgress, onCompile } from "./compile-progress.ts";
export { type Context, context, currentContext, drawKey } from "./context.ts";
export { type DebugEvent, onDebug } from "./debug.ts";
export { type ComputeType, DTYPES, type DType, type HostArray, type HostData } from "./dtype.ts";
export { type ErrorName, type ErrorParts, isVlmError, nearest, printable, VlmError } from "./errors.ts";
export { bitsToFloats, floatsToBits } from "./float-bits.ts";
export {
  checkpoint,
  customGradient,
  type Gradients,
  grad,
  lossOf,
  pullback,
  stopGradient,
  valueAndGrad,
} from "./grad.ts";
export { defineKernel, type KernelDefinition, type ShaderArray, type ShaderContext } from "./kernel.ts";
export { fill, fromHost, iota, ones, Tensor, type TensorMethods, tensor, zeros } from "./methods.ts";
export {
  clamp,
  elu,
  type GeluForm,
  gelu,
  leakyRelu,
  logSigmoid,
  relu,
  sigmoid,
  silu,
  softplus,
} from "./ops/activation.ts";
export { add, div, maximum, minimum, mul, neg, sub } from "./ops/arithmetic.ts";
export { type AttentionOptions, scaledDotProductAttention } from "./ops/attention.ts";
export {
  bitAnd,
  bitcast,
  bitNot,
  bitOr,
  bitXor,
  isFinite,
  isInfinite,
  isNaN,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  shiftLeft,
  shiftRight,
} from "./ops/bits.ts";
export { cast } from "./ops/cast.ts";
export { eq, ge, gt, le, lt, ne, where } from "./ops/compare.ts";
export { matmul } from "./ops/contract.ts";
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  type Padding,
  type PerAxis,
} from "./ops/conv.ts";
export type { NestedArray, TensorOptions } from "./ops/create.ts";
export { type CrossEntropyOptions, crossEntropy } from "./ops/cross-entropy.ts";
export type { TensorLike } from "./ops/define.ts";
export { einsum } from "./ops/einsum.ts";
export { erf, erfinv } from "./ops/error-function.ts";
export { expectShape, type SizeNames } from "./ops/expect-shape.ts";
export { exp, expm1, log, log1p } from "./ops/exponential.ts";
export { acosh, asinh, atanh, cosh, sinh, tanh } from "./ops/hyperbolic.ts";
export { chunk, concat, repeat, roll, split, stack, tile } from "./ops/join.ts";
export { oneHot, triangle, tril, triu } from "./ops/mask.ts";
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  l2Normalize,
  layerNorm,
  type NormOptions,
  rmsNorm,
} from "./ops/norm.ts";
export {
  type AveragePoolOptions,
  adaptiveAvgPool,
  avgPool,
  globalAvgPool,
  maxPool,
  type PoolOptions,
} from "./ops/pool.ts";
export { pow, reciprocal, rsqrt, square } from "./ops/power.ts";
export { rearrange } from "./ops/rearrange.ts";
export { type Axes, eye, max, mean, min, prod, type ReduceOptions, sum } from "./ops/reduce.ts";
export { mod, remainder } from "./ops/remainder.ts";
export { type ResizeMode, type ResizeOptions, resize } from "./ops/resize.ts";
export { abs, ceil, floor, round, trunc } from "./ops/rounding.ts";
export { cummax, cummin, cumprod, cumsum, type ScanOptions } from "./ops/scan.ts";
export { type Combine, type ScatterOptions, scatter, scatterAdd, scatterRows } from "./ops/scatter.ts";
export { sign } from "./ops/sign.ts";
export { logSoftmax, logsumexp, softmax } from "./ops/softmax.ts";
export { argsort, type Sorted, sort, topk } from "./ops/sort.ts";
export { sqrt } from "./ops/sqrt.ts";
export { all, any, argmax, argmin, std, type VarianceOptions, variance } from "./ops/statistics.ts";
export { embedding, gather, take } from "./ops/take.ts";
export { acos, asin, atan, cos, sin, tan } from "./ops/trigonometric.ts";
export {
  dilate,
  expand,
  flip,
  pad,
  permute,
  reshape,
  type Slice,
  slice,
  squeeze,
  transpose,
  unsqueeze,
  windows,
} from "./ops/view.ts";
export { type Pipeable, pipeHook } from "./pipe.ts";
export * as random from "./random.ts";
export {
  type Device,
  type DeviceName,
  type DeviceOptions,
  enableRelaxedSimd,
  openDevice,
  useDevice,
} from "./runtime/device.ts";
export { isFrozen, setFrozen } from "./runtime/frozen.ts";
export { type LiveTensor, leaks, memory } from "./runtime/memory.ts";
export { realize } from "./runtime/realize.ts";
export { schedulingDevice } from "./runtime/scheduling-device.ts";
export type { Shape } from "./shape.ts";
export type { Dims } from "./tensor.ts";
export { mapTree, type Tree } from "./tree.ts";
