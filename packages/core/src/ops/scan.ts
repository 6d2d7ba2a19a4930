/** Running sums, products and extrema. */
import { scanWasm } from "../backends/wasm/kernels/scan.ts";
import { scanFits, scanWebGpu } from "../backends/webgpu/kernels/scan.ts";
import { callKernel } from "../graph/kernel.ts";
import type { KernelOp, ReduceOp } from "../op.ts";
import { axisOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { add, maximum, minimum, mul } from "./arithmetic.ts";
import { bitAnd } from "./bits.ts";
import { triangle } from "./mask.ts";
import { maxOp, minOp, prodOp, reduce, sumOp } from "./reduce.ts";
import { scatterAdd } from "./scatter.ts";
import { iota } from "./source.ts";
import { flip, pad, slice } from "./view.ts";

type Fold = "add" | "mul" | "max" | "min";
type ScanAttributes = { combine: Fold; reverse: boolean; exclusive: boolean };

const folds: Record<
  Fold,
  { op: ReduceOp; join: (a: Tensor, b: Tensor) => Tensor; fold: (a: number, b: number) => number }
> = {
  add: { op: sumOp, join: add, fold: (a, b) => a + b },
  mul: { op: prodOp, join: mul, fold: (a, b) => a * b },
  max: { op: maxOp, join: maximum, fold: Math.max },
  min: { op: minOp, join: minimum, fold: Math.min },
};

/** y[r, i] = x[r, 0] ∘ … ∘ x[r, i] for rows of [R N]. Attributes: combine, reverse (from the end), exclusive (without i). */
export const scanOp: KernelOp = {
  kind: "kernel",
  name: "scan",
  wasm: scanWasm,
  outputs: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  eval([x], attributes) {
    const { combine, reverse, exclusive } = attributes as ScanAttributes;
    const [rows, n] = x!.shape as [number, number];
    const { op, fold } = folds[combine];
    const out = new Float64Array(rows * n);
    for (let r = 0; r < rows; r++) {
      let sum = op.identity(x!.dtype);
      for (let k = 0; k < n; k++) {
        const at = r * n + (reverse ? n - 1 - k : k);
        const next = fold(sum, x!.data[at]!);
        out[at] = exclusive ? sum : next;
        sum = next;
      }
    }
    return [out];
  },
  reference([x], attributes) {
    const { combine, reverse, exclusive } = attributes as ScanAttributes;
    const y = inclusive(reverse ? flip(x!, [1]) : x!, folds[combine]);
    const n = x!.shape[1]!;
    const identity = folds[combine].op.identity(y.dtype);
    const moved =
      exclusive && n > 0
        ? pad(
            slice(y, null, [0, n - 1]),
            [
              [0, 0],
              [1, 0],
            ],
            identity,
          )
        : y;
    return [reverse ? flip(moved, [1]) : moved];
  },
  webgpu: scanWebGpu,
  when: (inputs, _attributes, device) => device.name !== "webgpu" || scanFits(inputs),
  vjp({ dy: [dy], inputs: [x], outputs: [y], attributes }) {
    const { combine, reverse, exclusive } = attributes as ScanAttributes;
    const back = (v: Tensor): Tensor => scanRows(v, { combine: "add", reverse: !reverse, exclusive });
    if (combine === "add") return [back(dy!)];
    if (combine === "mul") {
      // Without a zero, Σ dy·y / x. The first zero of a row gets its share from a product that leaves it out.
      const zero = x!.eq(0);
      const seen = scanRows(zero.cast("i32"), { combine: "add", reverse, exclusive: true });
      const first = bitAnd(zero, seen.eq(0));
      const without = scanRows(first.where(1, x!), { combine: "mul", reverse, exclusive });
      const regular = back(dy!.mul(y!)).div(zero.where(1, x!));
      return [zero.where(first.where(back(dy!.mul(without)), 0), regular)];
    }
    // Each output's gradient goes to the element that set the record; a later equal element sets none.
    const n = x!.shape[1]!;
    const before = scanRows(x!, { combine, reverse, exclusive: true });
    const record = combine === "max" ? x!.gt(before) : x!.lt(before);
    const from = iota(n).expand(x!.shape);
    const setter = scanRows(record.where(from, reverse ? n : -1), {
      combine: reverse ? "min" : "max",
      reverse,
      exclusive,
    });
    return [scatterAdd(dy!.mul(0), setter, dy!, 1)];
  },
  test: { ulp: 32, dtypes: ["f32", "i32", "u32"] },
};

/** Elements that are joined directly; longer rows go by blocks. */
const BLOCK = 32;

/** Each element with all before it: inside blocks by masked reductions, then each block with the total of those before. */
function inclusive(x: Tensor, fold: (typeof folds)[Fold]): Tensor {
  const { op, join } = fold;
  const [rows, n] = x.dims(2);
  const identity = op.identity(x.dtype);
  if (n <= BLOCK) {
    const upTo = triangle(n, n).expand([rows, n, n]);
    return reduce(op, upTo.where(x.reshape([rows, 1, n]), identity), 2);
  }
  const blocks = Math.ceil(n / BLOCK);
  const padded = pad(
    x,
    [
      [0, 0],
      [0, blocks * BLOCK - n],
    ],
    identity,
  );
  const inside = inclusive(padded.reshape([rows * blocks, BLOCK]), fold).reshape([rows, blocks, BLOCK]);
  const totals = inclusive(reduce(op, padded.reshape([rows, blocks, BLOCK]), 2), fold);
  const before = pad(
    slice(totals, null, [0, blocks - 1]),
    [
      [0, 0],
      [1, 0],
    ],
    identity,
  ).reshape([rows, blocks, 1]);
  return slice(join(inside, before).reshape([rows, blocks * BLOCK]), null, [0, n]);
}

function scanRows(x: Tensor, attributes: ScanAttributes): Tensor {
  return callKernel(scanOp, [x], attributes)[0]!;
}

/** Options of cumulative sums and their kin. */
export type ScanOptions = {
  /** From the last element to the first. */
  reverse?: boolean;
  /** Position i holds the result of the elements before it. */
  exclusive?: boolean;
};

function scan(name: string, combine: Fold, x: Tensor, axis: number, options: ScanOptions): Tensor {
  const at = axisOf(name, axis, x.rank);
  const { reverse = false, exclusive = false } = options;
  const wide = x.dtype === "bool" || x.dtype === "u8" ? x.cast("i32") : x;
  const order = [...x.shape.map((_, i) => i).filter((i) => i !== at), at];
  const moved = wide.permute(order);
  const rows = moved.reshape([x.shape[at] === 0 ? 0 : -1, x.shape[at]!]);
  const scanned = scanRows(rows, { combine, reverse, exclusive }).reshape(moved.shape);
  return scanned.permute(order.map((_, i) => order.indexOf(i)));
}

/** Running sum along an axis. Bool and u8 count as i32. */
export const cumsum = (x: Tensor, axis = -1, options: ScanOptions = {}): Tensor =>
  scan("cumsum", "add", x, axis, options);
/** Running product along an axis. */
export const cumprod = (x: Tensor, axis = -1, options: ScanOptions = {}): Tensor =>
  scan("cumprod", "mul", x, axis, options);
/** Running maximum along an axis. */
export const cummax = (x: Tensor, axis = -1, options: ScanOptions = {}): Tensor =>
  scan("cummax", "max", x, axis, options);
/** Running minimum along an axis. */
export const cummin = (x: Tensor, axis = -1, options: ScanOptions = {}): Tensor =>
  scan("cummin", "min", x, axis, options);
