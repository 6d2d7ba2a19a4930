import { type DType, roundTo } from "../dtype.ts";
import { Node } from "../graph/node.ts";
import type { ElementwiseOp } from "../op.ts";

/**
 * The same value in storage of its own, with no more precision than its dtype has: the reference device computes in
 * float64, and a cell that was saved and loaded must be the cell it was.
 */
export function copyOf(node: Node): Node {
  return new Node(copyOps[node.dtype], [node], {}, node, node.where);
}

const copyOp = (kept: DType): ElementwiseOp => ({
  kind: "elementwise",
  name: "copy",
  arity: 1,
  dtype: ([x]) => x!,
  eval: ([x]) => roundTo(kept, x!),
  wgsl: ([x]) => x!,
  identity: true,
  cost: 0,
});

const copyOps: Readonly<Record<DType, ElementwiseOp>> = {
  f32: copyOp("f32"),
  f16: copyOp("f16"),
  bf16: copyOp("bf16"),
  i32: copyOp("i32"),
  u32: copyOp("u32"),
  u8: copyOp("u8"),
  bool: copyOp("bool"),
};
