/** Writing by index. */

import { scatterWasm } from "../backends/wasm/kernels/scatter.ts";
import { scatterWebGpu } from "../backends/webgpu/kernels/scatter.ts";
import type { DType } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import { callKernel } from "../graph/kernel.ts";
import type { HostOperand, KernelOp, ReduceOp } from "../op.ts";
import { axisOf, expectWord, sameShape, shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { add, maximum, minimum, mul } from "./arithmetic.ts";
import { bitAnd } from "./bits.ts";
import { asIndices, checkIndex, flatPositions } from "./indices.ts";
import { maxOp, minOp, prodOp, reduce, sumOp } from "./reduce.ts";
import { fill, iota, zeros } from "./source.ts";

/** What happens where an update meets the old value; with "set", the last update of a position wins. */
export type Combine = "set" | "add" | "max" | "min" | "mul";

const folds: Record<
  Exclude<Combine, "set">,
  { op: ReduceOp; join: (a: Tensor, b: Tensor) => Tensor; fold: (a: number, b: number) => number }
> = {
  add: { op: sumOp, join: add, fold: (a, b) => a + b },
  max: { op: maxOp, join: maximum, fold: Math.max },
  min: { op: minOp, join: minimum, fold: Math.min },
  mul: { op: prodOp, join: mul, fold: (a, b) => a * b },
};

type ScatterAttributes = { rows: number; combine: Combine };

/**
 * Rows of a table changed by index. Inputs: ids i32 [N], updates [N D], and optionally the table before, base [V D]
 * (zeros if absent). Attributes: rows (V), combine. Ids out of range do nothing. Output [V D].
 */
export const scatterOp: KernelOp = {
  kind: "kernel",
  name: "scatter",
  wasm: scatterWasm,
  webgpu: scatterWebGpu,
  when: ([, updates], _attributes, device) => device.name !== "webgpu" || updates!.dtype !== "bool",
  outputs: ([, updates], { rows }) => [{ shape: [rows as number, updates!.shape[1]!], dtype: updates!.dtype }],
  eval(inputs, attributes) {
    const { rows, combine } = attributes as ScatterAttributes;
    const [ids, updates, base] = inputs as [HostOperand, HostOperand, HostOperand | undefined];
    const width = updates.shape[1]!;
    const out = base ? Float64Array.from(base.data) : new Float64Array(rows * width);
    const fold = combine === "set" ? (_: number, b: number) => b : folds[combine].fold;
    ids.data.forEach((id, n) => {
      if (id < 0 || id >= rows) return;
      for (let d = 0; d < width; d++) out[id * width + d] = fold(out[id * width + d]!, updates.data[n * width + d]!);
    });
    return [out];
  },
  reference([ids, updates, base], attributes) {
    const { rows, combine } = attributes as ScatterAttributes;
    const [count, width] = updates!.dims(2);
    const hit = iota(rows)
      .reshape([rows, 1])
      .eq(ids!.reshape([1, count])); // [V N]
    if (combine === "set") {
      const before = base ?? zeros([rows, width], updates!.dtype);
      const last = count === 0 ? fill(-1, [rows], "i32") : lastHit(hit);
      const chosen = updates!.take(last.maximum(0)).reshape([rows, width]);
      return [count === 0 ? before : last.ge(0).reshape([rows, 1]).where(chosen, before)];
    }
    const { op, join } = folds[combine];
    const spread = hit
      .reshape([rows, count, 1])
      .where(updates!.reshape([1, count, width]), op.identity(updates!.dtype));
    const folded = reduce(op, spread, 1);
    return [base ? join(base, folded) : folded];
  },
  vjp({ dy: [dy], inputs: [ids, updates, base], outputs: [y], attributes }) {
    const { rows, combine } = attributes as ScatterAttributes;
    const inside = bitAnd(ids!.ge(0), ids!.lt(rows)).reshape([-1, 1]);
    const rowsOf = (x: Tensor): Tensor => inside.where(x.take(ids!.clamp(0, Math.max(0, rows - 1))), 0);
    if (combine === "add") return [null, rowsOf(dy!), base ? dy! : null];
    if (combine === "mul") {
      // The product of the others: of the elements that are not 0, and 0 where another one is.
      const [u0, b0] = [updates!.eq(0), (base ?? y!).eq(0)];
      const whole = scatterRows(base ? b0.where(1, base) : fill(1, y!.shape, y!.dtype), ids!, u0.where(1, updates!), {
        combine,
      });
      const start = base ? b0.cast("i32") : zeros(y!.shape, "i32");
      const zeroCount = scatterRows(start, ids!, u0.cast("i32"), { combine: "add" });
      const others = (x: Tensor, isZero: Tensor, product: Tensor, zeros: Tensor): Tensor =>
        zeros.eq(isZero.cast("i32")).where(product.div(isZero.where(1, x)), 0);
      return [
        null,
        rowsOf(dy!).mul(others(updates!, u0, rowsOf(whole), rowsOf(zeroCount))),
        base ? dy!.mul(others(base, b0, whole, zeroCount)) : null,
      ];
    }
    if (combine === "set") {
      const count = ids!.shape[0]!;
      const order = iota(count).reshape([count, 1]);
      const last = scatterRows(fill(-1, [rows, 1], "i32"), ids!, order, { combine: "max" });
      const wins = bitAnd(inside, last.take(ids!.clamp(0, Math.max(0, rows - 1))).eq(order));
      return [null, wins.where(rowsOf(dy!), 0), base ? last.lt(0).where(dy!, 0) : null];
    }
    // Equal extrema share the gradient evenly.
    const chosen = bitAnd(inside, updates!.eq(rowsOf(y!))).cast(dy!.dtype);
    const kept = base ? base.eq(y!).cast(dy!.dtype) : zeros(y!.shape, dy!.dtype);
    const share = dy!.div(scatterRows(kept, ids!, chosen, { combine: "add" }).maximum(1));
    return [null, chosen.mul(rowsOf(share)), base ? kept.mul(share) : null];
  },
  test: { dtypes: ["f32", "i32", "u32"] },
};

/** For each row of hits [V N] the greatest n that is true, −1 where none is. */
const lastHit = (hit: Tensor): Tensor => hit.where(iota(hit.shape[1]!), -1).max(1);

/** How updates combine (default "add"), and the number of rows where there is no base. */
export type ScatterOptions = { combine?: Combine; rows?: number };

/**
 * A table [V D] with rows changed: row ids[n] meets updates[n], N of them, in order. The inverse of `take`.
 * Without `base` the table is made of zeros and `rows` gives V. Ids out of range are skipped.
 */
export function scatterRows(base: Tensor | null, ids: Tensor, updates: Tensor, options: ScatterOptions = {}): Tensor {
  const { combine = "add", rows = base?.shape[0] } = options;
  expectWord("scatterRows", "combine", combine, ["set", "add", "max", "min", "mul"]);
  const index = asIndices("scatterRows", ids);
  const fits =
    updates.rank === 2 &&
    sameShape(index.shape, [updates.shape[0]!]) &&
    (base === null || (base.rank === 2 && base.shape[1] === updates.shape[1] && base.shape[0] === rows));
  if (!fits || rows === undefined) {
    throw shapeError(
      "SCATTER_SHAPE",
      `scatterRows: base ${base ? shown(base.shape) : "none"}, ids ${shown(ids.shape)}, updates ${shown(updates.shape)}`,
      "shapes are [V D], [N] and [N D]; without a base give `rows`",
    );
  }
  if (base === null && combine !== "add") {
    throw new VlmError("ArgumentError", "SCATTER_BASE", {
      what: `scatterRows: combining by "${combine}" needs a table to start from`,
      hint: "pass a base, for example fill(-Infinity, [rows, width])",
    });
  }
  const dtype: DType = base?.dtype ?? updates.dtype;
  return callKernel(scatterOp, [index, updates.cast(dtype), ...(base ? [base] : [])], { rows, combine })[0]!;
}

/**
 * x with single elements changed: x[index[i, j], j] meets updates[i, j] for axis 0 (PyTorch's scatter_reduce).
 * `index` and `updates` have one shape; indices out of range are skipped; with "set" the last update wins.
 */
export function scatter(x: Tensor, index: Tensor, updates: Tensor, axis = -1, combine: Combine = "set"): Tensor {
  const at = axisOf("scatter", axis, x.rank);
  checkIndex("scatter", x, index, at);
  if (!sameShape(index.shape, updates.shape)) {
    throw shapeError(
      "SCATTER_SHAPE",
      `scatter: indices ${shown(index.shape)} and updates ${shown(updates.shape)} differ`,
      "expand the updates to the indices' shape",
    );
  }
  const flat = flatPositions(asIndices("scatter", index), x.shape, at).reshape([-1]);
  return scatterRows(x.reshape([-1, 1]), flat, updates.reshape([-1, 1]), { combine }).reshape(x.shape);
}

/** x with `updates` added at `index`: PyTorch's scatter_add. */
export const scatterAdd = (x: Tensor, index: Tensor, updates: Tensor, axis = -1): Tensor =>
  scatter(x, index, updates, axis, "add");
