import type { Tensor } from "../../../src/index.ts";
import * as vlm from "../../../src/index.ts";
import type { Call, Operators } from "../adapter.ts";

/** Old opsets normalise everything from the axis on, as one row. */
const rows =
  (f: (x: Tensor, axis: number) => Tensor) =>
  (call: Call): Tensor => {
    const x = call.x();
    if (call.opset >= 13) return f(x, call.number("axis", -1));
    const axis = call.number("axis", 1);
    const inner = x.shape.slice(axis).reduce((a, b) => a * b, 1);
    return f(x.reshape([x.size / inner, inner]), 1).reshape(x.shape);
  };

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

function batchNormalization(call: Call): Tensor[] {
  const [x, weight, bias, mean, variance] = range(0, 5).map((i) => call.x(i)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const eps = call.number("epsilon", 1e-5);
  if (!call.number("training_mode", 0)) return [vlm.batchNorm(x, { weight, bias, mean, variance, eps })];
  const momentum = call.number("momentum", 0.9);
  const axes = [0, ...range(2, x.rank)];
  const running = (old: Tensor, now: Tensor): Tensor => old.mul(momentum).add(now.mul(1 - momentum));
  return [vlm.batchNorm(x, { weight, bias, eps }), running(mean, x.mean(axes)), running(variance, x.variance(axes))];
}

function layerNormalization(call: Call): Tensor[] {
  const [x, weight] = [call.x(0), call.x(1)];
  const bias = call.optional(2);
  const axis = call.number("axis", -1);
  const axes = range(axis < 0 ? axis + x.rank : axis, x.rank);
  const eps = call.number("epsilon", 1e-5);
  const keep = { keepDims: true };
  const single = x.cast("f32");
  return [
    vlm.layerNorm(x, { axes, weight, bias, eps }),
    single.mean(axes, keep).cast(x.dtype),
    single.variance(axes, keep).add(eps).rsqrt().cast(x.dtype),
  ];
}

function groupNormalization(call: Call): Tensor {
  const [x, weight, bias] = [call.x(0), call.x(1), call.x(2)];
  const groups = call.number("num_groups", 1);
  const eps = call.number("epsilon", 1e-5);
  // Before opset 21 scale and bias came one per group.
  const full = (v: Tensor): Tensor => (v.size === x.shape[1] ? v : vlm.repeat(v, x.shape[1]! / groups));
  return vlm.groupNorm(x, groups, { weight: full(weight), bias: full(bias), eps });
}

function lpNormalization(call: Call): Tensor {
  const x = call.x();
  const axis = call.number("axis", -1);
  const keep = { keepDims: true };
  const length = call.number("p", 2) === 1 ? x.abs().sum(axis, keep) : x.square().sum(axis, keep).sqrt();
  return length.eq(0).where(0, x.div(length));
}

/** Local response normalisation over neighbouring channels. */
function lrn(call: Call): Tensor {
  const x = call.x();
  const size = call.number("size", 1);
  const sum = vlm
    .windows(
      vlm.pad(x.square(), [
        [0, 0],
        [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)],
        ...range(2, x.rank).map((): [number, number] => [0, 0]),
      ]),
      [1],
      [size],
      [1],
      [1],
    )
    .sum(-1);
  const base = sum.mul(call.number("alpha", 1e-4) / size).add(call.number("bias", 1));
  return x.div(base.pow(call.number("beta", 0.75)));
}

export const normalization: Operators = {
  Softmax: rows((x, axis) => x.softmax(axis)),
  LogSoftmax: rows((x, axis) => x.logSoftmax(axis)),
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization(call) {
    const x = call.x();
    const axis = call.number("axis", -1);
    const axes = range(axis < 0 ? axis + x.rank : axis, x.rank);
    return vlm.rmsNorm(x, { axes, weight: call.x(1), eps: call.number("epsilon", 1e-5) });
  },
  GroupNormalization: groupNormalization,
  InstanceNormalization(call) {
    const x = call.x();
    return vlm.groupNorm(x, x.shape[1]!, { weight: call.x(1), bias: call.x(2), eps: call.number("epsilon", 1e-5) });
  },
  MeanVarianceNormalization(call) {
    const axes = [...(call.numbers("axes") ?? [0, 2, 3])];
    return vlm.layerNorm(call.x(), { axes, eps: 1e-9 });
  },
  LpNormalization: lpNormalization,
  LRN: lrn,
};
