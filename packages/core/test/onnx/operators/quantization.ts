/** Eight-bit numbers as core knows them: u8 storage, sums in i32 or f32. */

import type { DType, Tensor } from "../../../src/index.ts";
import * as vlm from "../../../src/index.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";

/** A scale or zero point per axis, or per block of an axis, against x. */
function along(v: Tensor, x: Tensor, call: Call): Tensor {
  if (v.rank === 0 || v.size === 1) return v.reshape([]);
  const axis = call.number("axis", 1);
  const at = axis < 0 ? axis + x.rank : axis;
  if (v.rank === x.rank) return vlm.repeat(v, call.number("block_size", 0) || x.shape[at]! / v.shape[at]!, at);
  return v.reshape(x.shape.map((_, i) => (i === at ? v.size : 1)));
}

const saturate = (x: Tensor, dtype: DType): Tensor => {
  if (dtype !== "u8") throw new NotApplicable(`quantising to ${dtype}`);
  return x.clamp(0, 255).cast(dtype);
};

function quantize(x: Tensor, scale: Tensor, zero: Tensor | null): Tensor {
  const shifted = x
    .cast("f32")
    .div(scale.cast("f32"))
    .round()
    .add(zero ? zero.cast("f32") : 0);
  return saturate(shifted, zero?.dtype ?? "u8");
}

const dequantize = (x: Tensor, scale: Tensor, zero: Tensor | null): Tensor =>
  (zero ? x.cast("i32").sub(zero.cast("i32")) : x).cast("f32").mul(scale.cast("f32")).cast(scale.dtype);

/** x − zero point as f32: exact, and products are summed exactly below 2²⁴. */
const centred = (x: Tensor, zero: Tensor | null): Tensor =>
  (zero ? x.cast("i32").sub(zero.cast("i32")) : x.cast("i32")).cast("f32");

/** A row's zero point as a column. */
const asColumn = (zero: Tensor | null): Tensor | null =>
  zero && zero.rank === 1 && zero.size > 1 ? zero.reshape([-1, 1]) : zero;

export const quantization: Operators = {
  QuantizeLinear(call) {
    const x = call.x();
    const zero = call.optional(2);
    return quantize(x, along(call.x(1), x, call), zero ? along(zero, x, call) : null);
  },
  DequantizeLinear(call) {
    const x = call.x();
    const zero = call.optional(2);
    return dequantize(x, along(call.x(1), x, call), zero ? along(zero, x, call) : null);
  },
  DynamicQuantizeLinear(call) {
    const x = call.x();
    const low = x.min().minimum(0);
    const scale = x.max().maximum(0).sub(low).div(255);
    const zero = low.neg().div(scale).round().clamp(0, 255);
    return [x.div(scale).round().add(zero).clamp(0, 255).cast("u8"), scale, zero.cast("u8")];
  },
  MatMulInteger(call) {
    return centred(call.x(0), asColumn(call.optional(2)))
      .matmul(centred(call.x(1), call.optional(3)))
      .cast("i32");
  },
  ConvInteger(call) {
    const zero = call.optional(3);
    const [x, w] = [
      centred(call.x(0), call.optional(2)),
      centred(call.x(1), zero && zero.size > 1 ? zero.reshape([-1, 1, 1, 1]) : zero),
    ];
    const pads = call.numbers("pads") ?? [0, 0, 0, 0];
    return vlm
      .conv2d(x, w, {
        padding: [
          [pads[0]!, pads[2]!],
          [pads[1]!, pads[3]!],
        ],
      })
      .cast("i32");
  },
  QLinearMatMul(call) {
    const a = centred(call.x(0), call.x(2)).mul(call.x(1).cast("f32"));
    const b = centred(call.x(3), call.x(5)).mul(call.x(4).cast("f32"));
    return quantize(a.matmul(b), call.x(6), call.x(7));
  },
  QLinearConv(call) {
    const x = centred(call.x(0), call.x(2)).mul(call.x(1));
    const perOutput = (v: Tensor): Tensor => (v.size > 1 ? v.reshape([-1, 1, 1, 1]) : v.reshape([]));
    const w = centred(call.x(3), perOutput(call.x(5))).mul(perOutput(call.x(4)));
    return quantize(vlm.conv2d(x, w), call.x(6), call.x(7));
  },
};
