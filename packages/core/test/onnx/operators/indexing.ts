import * as vlm from "../../../src/index.ts";
import { type Combine, type Tensor, tensor } from "../../../src/index.ts";
import { rowMajor } from "../../../src/ir/linear.ts";
import type { Call, Operators } from "../adapter.ts";

const wrapAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** ONNX counts negative indices from the end. */
const fromEnd = (index: Tensor, n: number): Tensor => index.lt(0).where(index.add(n), index);

const combineOf = (call: Call): Combine => {
  const name = call.text("reduction", "none");
  return name === "none" ? "set" : (name as Combine);
};

function scatterElements(call: Call): Tensor {
  const x = call.x();
  const axis = wrapAxis(call.number("axis", 0), x.rank);
  return vlm.scatter(x, fromEnd(call.x(1), x.shape[axis]!), call.x(2), axis, combineOf(call));
}

/** Indices [… k] as row numbers of x seen as [product of the first k axes, rest]. */
function rowNumbers(x: Tensor, indices: Tensor, lead: number): { rows: Tensor; k: number } {
  const k = indices.shape.at(-1)!;
  const strides = rowMajor(x.shape.slice(lead, lead + k));
  const columns = vlm.split(indices, 1, -1);
  const rows = columns
    .map((column, i) => fromEnd(column, x.shape[lead + i]!).mul(strides[i]!))
    .reduce((a, b) => a.add(b))
    .squeeze(-1);
  return { rows, k };
}

function gatherND(call: Call): Tensor {
  const [x, indices] = [call.x(0), call.x(1)];
  const batch = call.number("batch_dims", 0);
  const lead = x.shape.slice(0, batch);
  const { rows, k } = rowNumbers(x, indices, batch);
  const per = product(x.shape.slice(batch, batch + k));
  const rest = x.shape.slice(batch + k);
  const offset = vlm
    .iota(product(lead))
    .mul(per)
    .reshape([...lead, ...new Array<number>(rows.rank - batch).fill(1)]);
  return x
    .reshape([product(lead) * per, product(rest)])
    .take(rows.add(offset))
    .reshape([...rows.shape, ...rest]);
}

function scatterND(call: Call): Tensor {
  const [x, indices, updates] = [call.x(0), call.x(1), call.x(2)];
  const { rows, k } = rowNumbers(x, indices, 0);
  const width = product(x.shape.slice(k));
  const table = x.reshape([product(x.shape.slice(0, k)), width]);
  return vlm
    .scatterRows(table, rows.reshape([-1]), updates.reshape([rows.size, width]), { combine: combineOf(call) })
    .reshape(x.shape);
}

/** Rows of a cache written at each batch element's position; "circular" positions wrap around. */
function tensorScatter(call: Call): Tensor {
  const [cache, update] = [call.x(0), call.x(1)];
  const axis = wrapAxis(call.number("axis", -2), cache.rank);
  const length = update.shape[axis]!;
  const start = call.optional(2) ?? vlm.zeros([cache.shape[0]!], "i32");
  const along = (x: Tensor, at: number): Tensor => x.reshape(update.shape.map((_, i) => (i === at ? x.size : 1)));
  const position = along(start, 0).add(along(vlm.iota(length), axis));
  const index = call.text("mode", "linear") === "circular" ? vlm.mod(position, cache.shape[axis]!) : position;
  return vlm.scatter(cache, index.expand(update.shape), update, axis);
}

async function topK(call: Call): Promise<Tensor[]> {
  const k = (await call.host(1))?.[0] ?? call.number("k", 1);
  const { values, indices } = vlm.topk(call.x(), k, call.number("axis", -1), {
    largest: call.number("largest", 1) === 1,
  });
  return [values, indices];
}

export const indexing: Operators = {
  Gather(call) {
    const x = call.x();
    const axis = wrapAxis(call.number("axis", 0), x.rank);
    return x.take(fromEnd(call.x(1), x.shape[axis]!), axis);
  },
  GatherElements(call) {
    const x = call.x();
    const axis = wrapAxis(call.number("axis", 0), x.rank);
    return x.gather(fromEnd(call.x(1), x.shape[axis]!), axis);
  },
  GatherND: gatherND,
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  TensorScatter: tensorScatter,
  TopK: topK,
  async OneHot(call) {
    const depth = (await call.host(1))![0]!;
    const values = call.x(2);
    const hot = vlm.oneHot(fromEnd(call.x(0).cast("i32"), depth), depth, "bool");
    const axis = wrapAxis(call.number("axis", -1), hot.rank);
    const order = hot.shape.map((_, i) => i).slice(0, -1);
    order.splice(axis, 0, hot.rank - 1);
    return hot.permute(order).where(values.slice(1), values.slice(0));
  },
  async Compress(call) {
    const chosen = (await call.host(1))!.flatMap((v, i) => (v ? [i] : []));
    const index = tensor(Int32Array.from(chosen));
    return call.has("axis") ? call.x().take(index, call.number("axis", 0)) : call.x().reshape([-1]).take(index);
  },
  ReverseSequence(call) {
    const [x, lengths] = [call.x(0), call.x(1)];
    const [time, batch] = [call.number("time_axis", 0), call.number("batch_axis", 1)];
    const along = (v: Tensor, at: number): Tensor => v.reshape(x.shape.map((_, i) => (i === at ? v.size : 1)));
    const t = along(vlm.iota(x.shape[time]!), time);
    const n = along(lengths, batch);
    return x.gather(t.lt(n).where(n.sub(1).sub(t), t).expand(x.shape), time);
  },
  async CumSum(call) {
    const axis = (await call.host(1))![0]!;
    return vlm.cumsum(call.x(), axis, {
      reverse: call.number("reverse", 0) === 1,
      exclusive: call.number("exclusive", 0) === 1,
    });
  },
  async CumProd(call) {
    const axis = (await call.host(1))![0]!;
    return vlm.cumprod(call.x(), axis, {
      reverse: call.number("reverse", 0) === 1,
      exclusive: call.number("exclusive", 0) === 1,
    });
  },
};
