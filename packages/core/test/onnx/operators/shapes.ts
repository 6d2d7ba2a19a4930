import * as vlm from "../../../src/index.ts";
import { type Slice, type Tensor, tensor } from "../../../src/index.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";
import { elementType } from "./elementwise.ts";

const wrapAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
const integers = (values: readonly number[]): Tensor => tensor(Int32Array.from(values));

async function pad(call: Call): Promise<Tensor> {
  const mode = call.text("mode", "constant");
  const amounts = (await call.either("pads", 1))!;
  const value = (await call.host(2))?.[0] ?? call.number("value", 0);
  let x = call.x();
  const axes = (await call.host(3)) ?? x.shape.map((_, i) => i);
  for (const [k, axis] of axes.entries()) {
    const [before, after] = [amounts[k]!, amounts[k + axes.length]!];
    const at = wrapAxis(axis, x.rank);
    const n = x.shape[at]!;
    if (mode === "constant") {
      const cut = x.shape.map((_, i): Slice => (i === at ? [Math.max(0, -before), n - Math.max(0, -after)] : null));
      const grow = x.shape.map((_, i): [number, number] =>
        i === at ? [Math.max(0, before), Math.max(0, after)] : [0, 0],
      );
      x = vlm.pad(x.slice(...cut), grow, value);
    } else {
      const position = (i: number): number => {
        if (mode === "edge") return Math.min(Math.max(i, 0), n - 1);
        if (mode === "wrap") return ((i % n) + n) % n;
        const period = Math.max(1, 2 * (n - 1));
        const folded = ((i % period) + period) % period;
        return folded < n ? folded : period - folded;
      };
      const from = Array.from({ length: n + before + after }, (_, i) => position(i - before));
      x = x.take(integers(from), at);
    }
  }
  return x;
}

async function slice(call: Call): Promise<Tensor> {
  const x = call.x();
  const starts = (await call.either("starts", 1))!;
  const ends = (await call.either("ends", 2))!;
  const axes = (await call.either("axes", 3)) ?? starts.map((_, i) => i);
  const steps = (await call.host(4)) ?? starts.map(() => 1);
  const cut: Slice[] = x.shape.map(() => null);
  axes.forEach((axis, k) => {
    const at = wrapAxis(axis, x.rank);
    const n = x.shape[at]!;
    const [from, to, step] = [starts[k]!, ends[k]!, steps[k]!];
    const clamp = (v: number, low: number, high: number): number => Math.min(Math.max(v < 0 ? v + n : v, low), high);
    // Written with positions counted from the front; before the first one is said by null.
    const [start, end] =
      step > 0 ? [clamp(from, 0, n), clamp(to, 0, n)] : [clamp(from, 0, n - 1), clamp(to, -1, n - 1)];
    cut[at] = [start, end < 0 ? null : end, step];
  });
  return x.slice(...cut);
}

async function split(call: Call): Promise<Tensor[]> {
  const x = call.x();
  const axis = wrapAxis(call.number("axis", 0), x.rank);
  const sizes = await call.either("split", 1);
  if (sizes) return vlm.split(x, sizes, axis);
  const count = call.number("num_outputs", call.outputs);
  return vlm.split(x, Math.ceil(x.shape[axis]! / count), axis);
}

async function reshape(call: Call): Promise<Tensor> {
  const x = call.x();
  const shape = (await call.either("shape", 1))!;
  const keepZero = call.number("allowzero", 0) === 1;
  const full = shape.map((n, i) => (n === 0 && !keepZero ? x.shape[i]! : n));
  if (x.size === 0) return x.reshape(full.map((n) => (n === -1 ? 0 : n)));
  return x.reshape(full);
}

async function axesInput(call: Call): Promise<number[] | null> {
  const axes = await call.either("axes", 1);
  return axes ? [...axes] : null;
}

export const shapes: Operators = {
  Reshape: reshape,
  Flatten(call) {
    const x = call.x();
    const axis = wrapAxis(call.number("axis", 1), x.rank);
    return x.reshape([product(x.shape.slice(0, axis)), product(x.shape.slice(axis))]);
  },
  Transpose: (call) => call.x().permute(call.numbers("perm") ?? call.x().shape.map((_, i) => call.x().rank - 1 - i)),
  async Expand(call) {
    const shape = (await call.host(1))!;
    const x = call.x();
    const rank = Math.max(shape.length, x.rank);
    const [a, b] = [x.shape, shape].map((s) => [...new Array<number>(rank - s.length).fill(1), ...s]) as [
      number[],
      number[],
    ];
    return x.expand(a.map((n, i) => (n === 1 ? b[i]! : n)));
  },
  async Squeeze(call) {
    return vlm.squeeze(call.x(), (await axesInput(call)) ?? undefined);
  },
  async Unsqueeze(call) {
    const axes = (await axesInput(call))!;
    const rank = call.x().rank + axes.length;
    return axes
      .map((axis) => wrapAxis(axis, rank))
      .sort((a, b) => a - b)
      .reduce((x, axis) => vlm.unsqueeze(x, axis), call.x());
  },
  Concat: (call) =>
    vlm.concat(
      call.inputs.map((_, i) => call.x(i)),
      call.number("axis", 0),
    ),
  Split: split,
  Slice: slice,
  Pad: pad,
  async Tile(call) {
    return vlm.tile(call.x(), (await call.host(1))!);
  },
  Shape(call) {
    const { shape } = call.x();
    return integers(shape.slice(call.number("start", 0), call.has("end") ? call.number("end", 0) : undefined));
  },
  Size: (call) => tensor(call.x().size, { dtype: "i32" }),
  Constant(call) {
    const value = call.tensor("value");
    if (value) return value;
    if (call.has("value_float")) return tensor(call.number("value_float", 0));
    if (call.has("value_int")) return tensor(call.number("value_int", 0), { dtype: "i32" });
    if (call.has("value_ints")) return integers(call.numbers("value_ints")!);
    if (call.has("value_floats")) return tensor(Float32Array.from(call.numbers("value_floats")!));
    throw new NotApplicable("strings");
  },
  async ConstantOfShape(call) {
    const value = call.tensor("value") ?? tensor(0);
    const shape = (await call.host(0))!;
    return vlm.fill((await value.data())[0]!, shape, value.dtype);
  },
  EyeLike(call) {
    const [rows, columns] = call.x().shape as [number, number];
    const dtype = call.has("dtype") ? elementType(call.number("dtype", 1)) : call.x().dtype;
    const shifted = vlm.iota(rows).add(call.number("k", 0)).reshape([rows, 1]);
    return shifted.eq(vlm.iota(columns)).cast(dtype);
  },
  async Range(call) {
    const [start, limit, delta] = [(await call.host(0))![0]!, (await call.host(1))![0]!, (await call.host(2))![0]!];
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    const { dtype } = call.x();
    return vlm.iota(count).cast(dtype).mul(delta).add(start);
  },
  async Trilu(call) {
    const k = (await call.host(1))?.[0] ?? 0;
    return call.number("upper", 1) ? vlm.triu(call.x(), k) : vlm.tril(call.x(), k);
  },
  DepthToSpace(call) {
    const b = call.number("blocksize", 1);
    const pattern =
      call.text("mode", "DCR") === "DCR" ? "n (p q c) h w -> n c (h p) (w q)" : "n (c p q) h w -> n c (h p) (w q)";
    return vlm.rearrange(call.x(), pattern, { p: b, q: b });
  },
  SpaceToDepth(call) {
    const b = call.number("blocksize", 1);
    return vlm.rearrange(
      call.x(),
      call.text("mode", "DCR") === "DCR" ? "n c (h p) (w q) -> n (p q c) h w" : "n c (h p) (w q) -> n (c p q) h w",
      { p: b, q: b },
    );
  },
  async CenterCropPad(call) {
    const x = call.x();
    const shape = (await call.host(1))!;
    const axes = (call.numbers("axes") ?? x.shape.map((_, i) => i)).map((axis) => wrapAxis(axis, x.rank));
    const target = x.shape.map((n, i) => (axes.includes(i) ? shape[axes.indexOf(i)]! : n));
    const cut = x.shape.map((n, i): Slice => {
      const extra = n - target[i]!;
      return extra > 0 ? [Math.floor(extra / 2), Math.floor(extra / 2) + target[i]!] : null;
    });
    const grow = x.shape.map((n, i): [number, number] => {
      const missing = Math.max(0, target[i]! - n);
      return [Math.floor(missing / 2), Math.ceil(missing / 2)];
    });
    return vlm.pad(x.slice(...cut), grow);
  },
  Einsum: (call) => vlm.einsum(call.text("equation", ""), ...call.inputs.map((_, i) => call.x(i))),
  MatMul: (call) => call.x(0).matmul(call.x(1)),
  Gemm(call) {
    const a = call.number("transA", 0) ? call.x(0).transpose() : call.x(0);
    const b = call.number("transB", 0) ? call.x(1).transpose() : call.x(1);
    const y = a.matmul(b).mul(call.number("alpha", 1));
    const c = call.optional(2);
    return c ? y.add(c.mul(call.number("beta", 1))) : y;
  },
};
