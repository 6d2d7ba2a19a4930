import { currentPath } from "../context.ts";
import { checkDType, type DType, roundTo } from "../dtype.ts";
import { Node } from "../graph/node.ts";
import type { SourceOp } from "../op.ts";
import { checkShape, type Shape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

/** A leaf whose elements lie in storage. */
export const dataOp: SourceOp = { kind: "data", name: "data" };
/** A leaf with one value everywhere (attribute `value`). */
export const fillOp: SourceOp = { kind: "fill", name: "fill" };
/** A leaf [n] holding 0 … n − 1. */
export const iotaOp: SourceOp = { kind: "iota", name: "iota" };

/** A tensor of `shape` with `value` everywhere; takes no memory. */
export function fill(value: number, shape: Shape, dtype: DType = "f32"): Tensor {
  const spec = { shape: checkShape("fill", shape), dtype: checkDType("fill", dtype) };
  return new Tensor(new Node(fillOp, [], { value: roundTo(dtype, value) }, spec, currentPath()));
}

/** Zeros of `shape`. */
export const zeros = (shape: Shape, dtype: DType = "f32"): Tensor => fill(0, shape, dtype);

/** Ones of `shape`. */
export const ones = (shape: Shape, dtype: DType = "f32"): Tensor => fill(1, shape, dtype);

/** 0 … n − 1 as i32 [n]. */
export function iota(n: number): Tensor {
  return new Tensor(new Node(iotaOp, [], {}, { shape: checkShape("iota", [n]), dtype: "i32" }, currentPath()));
}
