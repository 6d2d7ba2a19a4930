import * as vlm from "../../../src/index.ts";
import { type Tensor, where } from "../../../src/index.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";

/** [B N H·D] to [B H N D]; tensors of rank 4 stay. */
const heads = (x: Tensor, h: number): Tensor => (x.rank === 4 ? x : vlm.rearrange(x, "B N (h d) -> B h N d", { h }));

/** Which keys each query may see by position, or null: [B|1 1 N M]. */
function visible(call: Call, rows: number, keys: number, past: number, lengths: Tensor | null): Tensor | null {
  const left = call.number("left_window_size", -1);
  const right = call.number("right_window_size", -1);
  const causal = call.number("is_causal", 0) === 1;
  if (!causal && left < 0 && right < 0) return null;
  const offset = lengths ? lengths.sub(rows).reshape([-1, 1, 1, 1]) : vlm.zeros([1, 1, 1, 1], "i32").add(past);
  const row = vlm.iota(rows).reshape([rows, 1]).add(offset);
  const column = vlm.iota(keys);
  let found = causal ? column.le(row) : vlm.fill(1, [1, 1, rows, keys], "bool");
  if (left >= 0) found = vlm.logicalAnd(found, column.ge(row.sub(left)));
  if (right >= 0) found = vlm.logicalAnd(found, column.le(row.add(right)));
  return found;
}

/** A mask that is shorter than the keys hides the rest. */
function padded(mask: Tensor, keys: number): Tensor {
  const missing = keys - mask.shape.at(-1)!;
  if (missing <= 0) return mask;
  return mask.dtype === "bool"
    ? vlm.pad(mask, [[0, missing]], 0)
    : vlm.pad(mask, [[0, missing]], Number.NEGATIVE_INFINITY);
}

function attend(call: Call): (Tensor | null)[] {
  const h = call.number("q_num_heads", 0);
  const g = call.number("kv_num_heads", h);
  const q = heads(call.x(0), h);
  let [k, v] = [heads(call.x(1), g), heads(call.x(2), g)];
  const past = call.optional(4);
  if (past) {
    k = vlm.concat([past, k], 2);
    v = vlm.concat([call.x(5), v], 2);
  }
  const lengths = call.optional(6);
  const [rows, keys] = [q.shape[2]!, k.shape[2]!];
  const given = call.optional(3) ? padded(call.x(3), keys) : null;
  const scale = call.number("scale", 1 / Math.sqrt(q.shape[3]!));
  const softcap = call.number("softcap", 0);
  const byPosition = visible(call, rows, keys, past ? past.shape[2]! : 0, lengths);
  const masks = [byPosition, given?.dtype === "bool" ? given : null].filter((m): m is Tensor => m !== null);
  const mask = masks.length > 0 ? masks.reduce((a, b) => vlm.logicalAnd(a, b)) : null;
  const bias = given && given.dtype !== "bool" ? given : null;
  const y =
    softcap === 0 && call.outputs < 4 ? vlm.scaledDotProductAttention(q, k, v, { scale, mask, bias, lengths }) : null;
  const long = y
    ? null
    : stepwise(q, k, v, { scale, softcap, mask, bias, lengths, mode: call.number("qk_matmul_output_mode", 0) });
  const result = y ?? long!.y;
  const shaped = call.x(0).rank === 3 ? vlm.rearrange(result, "B h N d -> B N (h d)") : result;
  return [shaped, k, v, long?.scores ?? null];
}

type Settings = {
  scale: number;
  softcap: number;
  mask: Tensor | null;
  bias: Tensor | null;
  lengths: Tensor | null;
  mode: number;
};

/** Attention one step at a time, for what the fused op has no name for: capped scores, and scores as an output. */
function stepwise(q: Tensor, k: Tensor, v: Tensor, of: Settings): { y: Tensor; scores: Tensor } {
  const times = q.shape[1]! / k.shape[1]!;
  const [keys, values] = [vlm.repeat(k, times, 1), vlm.repeat(v, times, 1)].map((x) => x.cast("f32")) as [
    Tensor,
    Tensor,
  ];
  const raw = q.cast("f32").matmul(keys.transpose()).mul(of.scale);
  const capped = of.softcap > 0 ? raw.div(of.softcap).tanh().mul(of.softcap) : raw;
  const limit = of.lengths ? vlm.iota(k.shape[2]!).lt(of.lengths.reshape([-1, 1, 1, 1])) : null;
  const hidden = Number.NEGATIVE_INFINITY;
  let biased = of.bias ? capped.add(of.bias.cast("f32")) : capped;
  for (const mask of [of.mask, limit]) if (mask) biased = where(mask, biased, hidden);
  const empty = biased.max(-1, { keepDims: true }).eq(hidden);
  const p = empty.where(0, biased.softmax());
  const scores = [raw, capped, biased, p][of.mode]!;
  if (of.mode === 1 && of.bias && of.softcap === 0) throw new NotApplicable("an output mode without its step");
  return { y: p.matmul(values).cast(q.dtype), scores: scores.cast(q.dtype) };
}

/** Rotary positions: pairs of features turned by an angle, the first halves or neighbours. */
function rotary(call: Call): Tensor {
  const x = call.x(0);
  const h = call.number("num_heads", 0);
  const wide = x.rank === 4 ? x : vlm.rearrange(x, "B N (h d) -> B h N d", { h });
  const size = call.number("rotary_embedding_dim", 0) || wide.shape[3]!;
  const [turned, rest] = vlm.split(wide, [size, wide.shape[3]! - size], 3) as [Tensor, Tensor];
  const positions = call.optional(3);
  const angle = (table: Tensor): Tensor => {
    const rows = positions ? table.take(positions) : table;
    return rows.slice(null, null, [0, size / 2]).reshape([rows.shape[0]!, 1, rows.shape[1]!, size / 2]);
  };
  const [cos, sin] = [angle(call.x(1)), angle(call.x(2))];
  const interleaved = call.number("interleaved", 0) === 1;
  const pairs = interleaved
    ? vlm.rearrange(turned, "B h N (d t) -> t B h N d", { t: 2 })
    : vlm.rearrange(turned, "B h N (t d) -> t B h N d", { t: 2 });
  const [a, b] = [pairs.slice(0), pairs.slice(1)];
  const both = [a.mul(cos).sub(b.mul(sin)), a.mul(sin).add(b.mul(cos))];
  const joined = interleaved ? vlm.stack(both, -1).reshape(turned.shape) : vlm.concat(both, 3);
  const y = vlm.concat([joined, rest], 3);
  return x.rank === 4 ? y : vlm.rearrange(y, "B h N d -> B N (h d)");
}

export const attention: Operators = { Attention: attend, RotaryEmbedding: rotary };
