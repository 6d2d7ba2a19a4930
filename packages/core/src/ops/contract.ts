import { currentPath } from "../context.ts";
import { type DType, expectDType, isFloat, promote } from "../dtype.ts";
import { Node } from "../graph/node.ts";
import type { ContractOp } from "../op.ts";
import { broadcastShapes, expectTensor, shapeError, shown, sizeOf } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { expand, permuteOp, reshape, transpose } from "./view.ts";

export const contractOp: ContractOp = {
  kind: "contract",
  name: "matmul",
  // dA = dY·Bᵀ, dB = Aᵀ·dY. For an operand that is a transposed view, the product is made in the order of what lies
  // beneath (dBᵀ = dYᵀ·A), so that nothing has to be transposed afterwards.
  vjp: ({ dy: [dy], inputs: [a, b] }) => [
    isTransposed(a!) ? transpose(contract(b!, transpose(dy!))) : contract(dy!, transpose(b!)),
    isTransposed(b!) ? transpose(contract(transpose(dy!), a!)) : contract(transpose(a!), dy!),
  ],
};

/** A view that swaps the last two axes. */
function isTransposed({ node }: Tensor): boolean {
  if (node.op !== permuteOp) return false;
  const order = node.attributes.order as readonly number[];
  const rank = order.length;
  return order.every((axis, i) => axis === (i === rank - 2 ? rank - 1 : i === rank - 1 ? rank - 2 : i));
}

function contract(a: Tensor, b: Tensor): Tensor {
  const shape = [...a.shape.slice(0, -1), b.shape[b.rank - 1]!];
  return new Tensor(new Node(contractOp, [a.node, b.node], {}, { shape, dtype: a.dtype }, currentPath()));
}

/**
 * Matrix product [… M K] × [… K N] → [… M N]; leading axes broadcast; vectors as in NumPy.
 * Sums of floats accumulate in f32 whatever the dtype; those of integers are exact modulo 2³².
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const dtype: DType = promote(expectTensor("matmul", a).dtype, expectTensor("matmul", b).dtype);
  expectDType("matmul", dtype, "number");
  if (a.rank === 0 || b.rank === 0) {
    throw shapeError(
      "MATMUL_RANK",
      `matmul: a scalar has no inner axis: ${shown(a.shape)} × ${shown(b.shape)}`,
      "use mul",
    );
  }
  if (a.rank === 1 && b.rank === 1) return reshape(matmul(reshape(a, [1, -1]), reshape(b, [-1, 1])), []);
  if (a.rank === 1) return reshapeDrop(matmul(reshape(a, [1, -1]), b), -2);
  if (b.rank === 1) return reshapeDrop(matmul(a, reshape(b, [-1, 1])), -1);
  const [m, k, inner, n] = [a.shape[a.rank - 2]!, a.shape[a.rank - 1]!, b.shape[b.rank - 2]!, b.shape[b.rank - 1]!];
  if (k !== inner) {
    throw shapeError(
      "MATMUL_INNER",
      `matmul: inner sizes differ, ${k} ≠ ${inner}: ${shown(a.shape)} × ${shown(b.shape)}`,
      "transpose an operand, or check the layer's width",
      { a: a.shape, b: b.shape },
    );
  }
  const [x, y] = [a.cast(dtype), b.cast(dtype)];
  // A matrix on the right serves all rows at once: its gradient is then one product too, not one per batch element.
  if (b.rank === 2 && isFloat(dtype))
    return reshape(contract(reshape(x, [sizeOf(a.shape.slice(0, -1)), k]), y), [...a.shape.slice(0, -1), n]);
  const batch = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!isFloat(dtype)) {
    // Integers are exact, modulo 2³².
    const wide = dtype === "u8" ? "u32" : dtype;
    const products = x
      .cast(wide)
      .reshape([...a.shape, 1])
      .mul(reshape(y.cast(wide), [...b.shape.slice(0, -2), 1, k, n]));
    return products.sum(-2).cast(dtype);
  }
  return contract(expand(x, [...batch, m, k]), expand(y, [...batch, k, n]));
}

const reshapeDrop = (x: Tensor, axis: number): Tensor =>
  reshape(
    x,
    x.shape.filter((_, i) => i !== axis + x.rank),
  );
