/** Triangles and one-hot rows. */
import type { DType } from "../dtype.ts";
import { expectWhole, shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { asIndices } from "./indices.ts";
import { iota } from "./source.ts";
import { unsqueeze } from "./view.ts";

/** bool [rows columns], true where column ≤ row + offset: what a causal model may see. */
export function triangle(rows: number, columns: number, offset = 0): Tensor {
  expectWhole("triangle", "the offset", offset, Number.NEGATIVE_INFINITY);
  return iota(columns)
    .reshape([1, columns])
    .le(iota(rows).add(offset).reshape([rows, 1]));
}

/** The lower triangle of matrices [… M N]: elements with column ≤ row + offset, zeros elsewhere. */
export const tril = (x: Tensor, offset = 0): Tensor => triangle(...lastTwo("tril", x), offset).where(x, 0);

/** The upper triangle of matrices [… M N]: elements with column ≥ row + offset, zeros elsewhere. */
export const triu = (x: Tensor, offset = 0): Tensor => triangle(...lastTwo("triu", x), offset - 1).where(0, x);

function lastTwo(op: string, x: Tensor): [number, number] {
  if (x.rank < 2)
    throw shapeError("MATRIX_RANK", `${op}: ${shown(x.shape)} is no matrix`, "at least two axes are needed");
  return [x.shape[x.rank - 2]!, x.shape[x.rank - 1]!];
}

/** Integer […] → [… classes] with 1 at the index and 0 elsewhere; an index out of range gives zeros. */
export function oneHot(ids: Tensor, classes: number, dtype: DType = "f32"): Tensor {
  return unsqueeze(asIndices("oneHot", ids), -1).eq(iota(classes)).cast(dtype);
}
