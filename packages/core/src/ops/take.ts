/** Reading by index: rows of a table, or one element per position. */
import { currentPath } from "../context.ts";
import { Node } from "../graph/node.ts";
import type { TakeOp } from "../op.ts";
import { axisOf, sizeOf } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { asIndices, checkIndex, checkRange, flatPositions } from "./indices.ts";
import { scatterRows } from "./scatter.ts";

export const takeOp: TakeOp = {
  kind: "take",
  name: "take",
  vjp: ({ dy: [dy], inputs: [table, ids] }) => [scatterRows(null, ids!, dy!, { rows: table!.shape[0]! }), null],
};

/** Rows [V D] by integer [N] → [N D]. */
function takeRows(table: Tensor, ids: Tensor): Tensor {
  const spec = { shape: [ids.size, table.shape[1]!], dtype: table.dtype };
  return new Tensor(new Node(takeOp, [table.node, ids.node], {}, spec, currentPath()));
}

/**
 * Slices of x along an axis by integer `ids`: the axis is replaced by the axes of `ids`. Throws `IndexRangeError` for
 * an index outside 0 … n − 1 in a tensor made from host data; one that is computed gives NaN (0 for integers), and the
 * same error when the result is read at `VLM_DEBUG=1`.
 */
export function take(x: Tensor, ids: Tensor, axis = 0): Tensor {
  const at = axisOf("take", axis, x.rank);
  const flat = asIndices("take", ids).reshape([-1]);
  const order = [at, ...x.shape.map((_, i) => i).filter((i) => i !== at)];
  const rest = [...x.shape.slice(0, at), ...x.shape.slice(at + 1)];
  const taken = takeRows(x.permute(order).reshape([x.shape[at]!, sizeOf(rest)]), flat);
  checkRange("take", ids, x.shape[at]!, taken);
  const rows = taken.reshape([...ids.shape, ...rest]);
  if (at === 0) return rows;
  const axes = rows.shape.map((_, i) => i);
  const before = axes.slice(ids.rank, ids.rank + at);
  return rows.permute([...before, ...axes.slice(0, ids.rank), ...axes.slice(ids.rank + at)]);
}

/** Rows of `table` [V D] by token ids […] → [… D]. */
export const embedding = (ids: Tensor, table: Tensor): Tensor => take(table, ids, 0);

/**
 * One element per index: y[i, j] = x[index[i, j], j] for axis 0 (PyTorch's gather, NumPy's take_along_axis).
 * `index` has x's rank. Out of range: as for `take`.
 */
export function gather(x: Tensor, index: Tensor, axis = -1): Tensor {
  const at = axisOf("gather", axis, x.rank);
  checkIndex("gather", x, index, at);
  const flat = flatPositions(asIndices("gather", index), x.shape, at).reshape([-1]);
  const taken = takeRows(x.reshape([x.size, 1]), flat);
  checkRange("gather", index, x.shape[at]!, taken);
  return taken.reshape(index.shape);
}
