/** Scaled dot-product attention (Vaswani et al. 2017, eq. 1), forward and backward, as kernels with a reference. */
import {
  attentionBackwardWebGpu,
  attentionFits,
  attentionWebGpu,
  readsRows,
} from "../backends/webgpu/kernels/attention.ts";
import { expectDType, isFloat } from "../dtype.ts";
import { callKernel } from "../graph/kernel.ts";
import type { Attributes, KernelOp, TensorSpec } from "../op.ts";
import { shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { bitAnd } from "./bits.ts";
import { isZero } from "./composite.ts";
import { greatestOp, reduce } from "./reduce.ts";
import { iota } from "./source.ts";

/**
 * Attributes of both kernels. Inputs come in the order q [B H N D], k [B G M D], v [B G M E], then those of
 * mask (bool), bias (f32) (both [b h n m], each size full or 1) and lengths (i32 [B]) that are there; the backward
 * kernel goes on with lse [B H N], y and dy [B H N E], and the gradient of lse where there is one. H is a multiple of G:
 * grouped queries.
 */
export type AttentionAttributes = {
  readonly scale: number;
  readonly causal: boolean;
  readonly mask: boolean;
  readonly bias: boolean;
  readonly lengths: boolean;
};

type AttentionInputs = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  mask: Tensor | null;
  bias: Tensor | null;
  lengths: Tensor | null;
  rest: readonly Tensor[];
};

function named(inputs: readonly Tensor[], attributes: Attributes): AttentionInputs {
  const { mask, bias, lengths } = attributes as AttentionAttributes;
  const [q, k, v, ...optional] = inputs as [Tensor, Tensor, Tensor, ...Tensor[]];
  const next = (there: boolean): Tensor | null => (there ? optional.shift()! : null);
  return { q, k, v, mask: next(mask), bias: next(bias), lengths: next(lengths), rest: optional };
}

/** [B H …] as [B G H/G …]: the heads that share keys side by side. */
const grouped = (x: Tensor, groups: number): Tensor =>
  x.reshape([x.shape[0]!, groups, x.shape[1]! / groups, ...x.shape.slice(2)]);

/** A mask or bias [b h n m] against scores [B G R N M]. */
function against(x: Tensor, groups: number): Tensor {
  const [b, h, n, m] = x.dims(4);
  return h === 1 ? x.reshape([b, 1, 1, n, m]) : x.reshape([b, groups, h / groups, n, m]);
}

/** Where query n may see key m, [B|1 1 1|… N M]; null when everything is visible. */
function visibility({ q, k, mask, lengths }: AttentionInputs, causal: boolean): Tensor | null {
  const [batch, , rows] = q.dims(4);
  const [, groups, keys] = k.dims(4);
  const column = iota(keys).reshape([1, 1, 1, 1, keys]);
  const limit = lengths?.reshape([batch, 1, 1, 1, 1]) ?? null;
  let visible: Tensor | null = mask ? against(mask, groups) : null;
  const also = (condition: Tensor): void => {
    visible = visible ? bitAnd(visible, condition) : condition;
  };
  if (limit) also(column.lt(limit));
  if (causal) {
    // The queries are the last of the valid keys.
    const row = iota(rows).reshape([1, 1, 1, rows, 1]);
    also(column.le(limit ? row.add(limit.sub(rows)) : row.add(keys - rows)));
  }
  return visible;
}

/** Scaled and biased scores [B G R N M], and where they count. */
function scores(inputs: AttentionInputs, attributes: Attributes): { s: Tensor; visible: Tensor | null } {
  const { scale, causal } = attributes as AttentionAttributes;
  const { q, k, bias } = inputs;
  const [batch, groups, keys, depth] = k.dims(4);
  const perGroup = q.shape[1]! / groups;
  const rows = q.shape[2]!;
  const tall = q.reshape([batch, groups, perGroup * rows, depth]);
  // In f32 whatever the operands: the hidden score, for one, is beyond f16.
  const products = tall.matmul(k.transpose()).cast("f32");
  let s = products.reshape([batch, groups, perGroup, rows, keys]).mul(scale);
  if (bias) s = s.add(against(bias, groups));
  return { s, visible: visibility(inputs, causal) };
}

/** Below every score that a model can produce, and far enough from −∞ for devices that compute as if it did not exist. */
const HIDDEN = -1e30;

/** Outputs: y [B H N E], and lse [B H N] = log Σ e^score, which the backward kernel starts from. A row that sees nothing is 0. */
export const attentionOp: KernelOp = {
  kind: "kernel",
  name: "attention",
  webgpu: attentionWebGpu,
  when: (inputs, _attributes, device) => device.name !== "webgpu" || attentionFits(inputs, device, false),
  readsView: (input, view, device) => device === "webgpu" && input < 3 && readsRows(view),
  outputs: ([q, , v]) => [
    { shape: [...q!.shape.slice(0, 3), v!.shape[3]!], dtype: q!.dtype },
    { shape: q!.shape.slice(0, 3), dtype: "f32" },
  ],
  reference(inputs, attributes) {
    const parts = named(inputs, attributes);
    const { q, v } = parts;
    const [batch, heads, rows] = q.dims(4);
    const [, groups, keys, width] = v.dims(4);
    const { s, visible } = scores(parts, attributes);
    const shown = visible ? visible.where(s, HIDDEN) : s;
    const m = reduce(greatestOp, shown, 4, { keepDims: true });
    const e = shown.sub(m).exp();
    const p = visible ? visible.where(e, 0) : e;
    const sum = p.sum(4, { keepDims: true });
    const safe = visible ? sum.maximum(1e-30) : sum;
    const weights = p
      .mul(safe.reciprocal())
      .cast(v.dtype)
      .reshape([batch, groups, (heads / groups) * rows, keys]);
    const found = m.add(safe.log());
    // Of a row that sees nothing, e^(score − lse) must be 0.
    const lse = (visible ? sum.gt(0).where(found, -HIDDEN) : found).reshape([batch, heads, rows]);
    return [weights.matmul(v).reshape([batch, heads, rows, width]).cast(q.dtype), lse.cast("f32")];
  },
  vjp({ dy: [dy, dlse], inputs, outputs: [y, lse], attributes }) {
    const rest = isZero(dlse!) ? [] : [dlse!];
    const gradients = callKernel(attentionBackwardOp, [...inputs, lse!, y!, dy!, ...rest], attributes);
    const { mask, bias } = attributes as AttentionAttributes;
    const all: (Tensor | null)[] = [...gradients.slice(0, 3)];
    if (mask) all.push(null);
    if (bias) all.push(gradients[3]!);
    while (all.length < inputs.length) all.push(null);
    return all;
  },
  test: { ulp: 64 },
};

/**
 * Gradients of attention, from P = e^(S − lse): dV = Pᵀ·dY, dS = P∘(dY·Vᵀ − delta), dQ = scale·dS·K, dK = scale·dSᵀ·Q
 * (Dao et al. 2022, appendix B.2; delta = rowsum(dY∘Y) − dlse). Outputs: dq, dk, dv, and dbias if there is a bias.
 */
export const attentionBackwardOp: KernelOp = {
  kind: "kernel",
  name: "attentionBackward",
  webgpu: attentionBackwardWebGpu,
  when: (inputs, _attributes, device) => device.name !== "webgpu" || attentionFits(inputs, device, true),
  // All but what selects and shifts scores: q, k, v, y and dy.
  readsView: (_input, view, device) => device === "webgpu" && view.strides.length === 4 && readsRows(view),
  outputs(inputs, attributes) {
    const { mask, bias } = attributes as AttentionAttributes;
    const [q, k, v] = inputs as [TensorSpec, TensorSpec, TensorSpec];
    return [q, k, v, ...(bias ? [inputs[mask ? 4 : 3]!] : [])];
  },
  reference(inputs, attributes) {
    const { scale } = attributes as AttentionAttributes;
    const parts = named(inputs, attributes);
    const { q, k, v, bias, rest } = parts;
    const [lse, y, dy, dlse] = rest as [Tensor, Tensor, Tensor, Tensor | undefined];
    const product = dy.cast("f32").mul(y.cast("f32")).sum(3);
    const delta = dlse ? product.sub(dlse) : product;
    const [batch, heads, rows, depth] = q.dims(4);
    const [, groups, keys, width] = v.dims(4);
    const tall = [batch, groups, (heads / groups) * rows];
    const { s, visible } = scores(parts, attributes);
    const column = (x: Tensor): Tensor => grouped(x, groups).reshape([batch, groups, heads / groups, rows, 1]);
    const e = s.sub(column(lse)).exp();
    const p = visible ? visible.where(e, 0) : e;
    const flat = dy.reshape([...tall, width]);
    const dp = flat.matmul(v.transpose()).cast("f32").reshape(s.shape);
    const ds = p.mul(dp.sub(column(delta)));
    const wide = ds
      .mul(scale)
      .cast(q.dtype)
      .reshape([...tall, keys]);
    const dq = wide.matmul(k).reshape(q.shape);
    const dk = wide.transpose().matmul(q.reshape([...tall, depth]));
    const dv = p
      .cast(dy.dtype)
      .reshape([...tall, keys])
      .transpose()
      .matmul(flat);
    const all = [dq.cast(q.dtype), dk.cast(k.dtype), dv.cast(v.dtype)];
    return bias ? [...all, summedTo(ds.reshape([batch, heads, rows, keys]), bias)] : all;
  },
};

/** x summed over the axes along which `like` has size 1. */
function summedTo(x: Tensor, like: Tensor): Tensor {
  const axes = x.shape.flatMap((n, i) => (like.shape[i] === 1 && n !== 1 ? [i] : []));
  return (axes.length === 0 ? x : x.sum(axes, { keepDims: true })).cast(like.dtype);
}

/** Options of `attention`. */
export type AttentionOptions = {
  /** Query n of N sees key m of M where m ≤ n + M − N: the queries are the last positions. */
  causal?: boolean;
  /** bool, broadcast to [B H N M]: true where a query may see a key. */
  mask?: Tensor | null;
  /** Added to the scaled scores, broadcast to [B H N M]. */
  bias?: Tensor | null;
  /** Factor of the scores; default 1/√D. */
  scale?: number;
  /**
   * i32 [B]: how many keys are valid in each batch element, for padded batches and for key-value caches of fixed size.
   * With `causal`, the queries are the last of the valid positions.
   */
  lengths?: Tensor | null;
};

/**
 * softmax(q·kᵀ·scale + bias)·v. q [… H N D], k [… G M D], v [… G M E] → [… H N E]; H a multiple of G (grouped queries:
 * H/G neighbouring heads share keys). Scores and sums in f32. A query that sees no key gives 0.
 */
export function scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, mask, bias, lengths } = options;
  expectDType("attention", q.dtype, "float");
  if (q.rank !== k.rank || k.rank !== v.rank || q.rank < 2 || q.rank > 4) {
    throw attentionShape(q, k, v, "q, k and v have one rank, 2 to 4: [batch heads positions width]");
  }
  const missing = 4 - q.rank;
  const full = (x: Tensor): Tensor => x.reshape([...new Array<number>(missing).fill(1), ...x.shape]);
  const [q4, k4, v4] = [full(q), full(k), full(v)];
  const [batch, heads, , depth] = q4.dims(4);
  const [keyBatch, groups, keys, keyDepth] = k4.dims(4);
  if (depth !== keyDepth) throw attentionShape(q, k, v, "q and k need equal width");
  if (batch !== keyBatch || batch !== v4.shape[0]) throw attentionShape(q, k, v, "batch sizes must be equal");
  if (groups !== v4.shape[1] || keys !== v4.shape[2])
    throw attentionShape(q, k, v, "k and v need equal heads and length");
  if (heads % groups !== 0) throw attentionShape(q, k, v, "query heads must be a multiple of key heads");
  if (mask && isFloat(mask.dtype)) {
    throw shapeError(
      "ATTENTION_MASK",
      `attention: the mask is ${mask.dtype}`,
      "a mask is bool; numbers to add are `bias`",
    );
  }
  const scores = [batch, heads, q4.shape[2]!, keys];
  const spread = (x: Tensor): Tensor => {
    const fits = x.rank <= 4 && x.shape.every((n, i) => n === 1 || n === scores[i + 4 - x.rank]);
    if (!fits) throw attentionShape(q, k, v, `mask or bias ${shown(x.shape)} does not broadcast to ${shown(scores)}`);
    return x.reshape([...new Array<number>(4 - x.rank).fill(1), ...x.shape]);
  };
  const inputs = [q4, k4, v4];
  if (mask) inputs.push(spread(mask.cast("bool")));
  if (bias) inputs.push(spread(bias.cast("f32")));
  if (lengths) inputs.push(lengths.cast("i32").expand([batch]));
  const attributes: AttentionAttributes = {
    scale: options.scale ?? 1 / Math.sqrt(depth),
    causal,
    mask: Boolean(mask),
    bias: Boolean(bias),
    lengths: Boolean(lengths),
  };
  const y = callKernel(attentionOp, inputs, attributes)[0]!;
  return y.reshape(y.shape.slice(missing));
}

function attentionShape(q: Tensor, k: Tensor, v: Tensor, hint: string): Error {
  return shapeError(
    "ATTENTION_SHAPE",
    `attention: q ${shown(q.shape)}, k ${shown(k.shape)}, v ${shown(v.shape)} do not fit`,
    hint,
    { q: q.shape, k: k.shape, v: v.shape },
  );
}
