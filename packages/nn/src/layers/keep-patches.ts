import { argsort, concat, currentContext, drawKey, iota, random, type Tensor, take, VlmError } from "@vlm/core";

/**
 * In training, keeps a random share of the tokens of each example (Li et al. 2023, FLIP, section 3): [B T D] → [B T′ D].
 * The first `prefix` tokens always stay. Outside training all stay.
 */
export function keepPatches(x: Tensor, share: number, prefix: number): Tensor {
  if (!currentContext().training || share >= 1) return x;
  const draw = drawKey();
  if (!draw) {
    throw new VlmError("ArgumentError", "KEY_MISSING", {
      what: "patch dropout: no random key in the context",
      where: currentContext().path.join(".") || undefined,
      hint: "wrap the forward pass: context({ training: true, key: random.key(0) }, () => …)",
    });
  }
  const [B, T, D] = x.dims(3);
  const patches = T - prefix;
  const kept = Math.max(1, Math.round(patches * share));
  const noise = random.uniform(random.fold(draw.key, draw.draw), [B, patches]);
  const order = argsort(noise, -1).slice(null, [0, kept]); // [B T′]
  const row = order.add(prefix);
  const first = x.slice(null, [0, prefix]);
  const flat = x.reshape([B * T, D]);
  const base = batchOffsets(B, T);
  const chosen = take(flat, row.add(base).reshape([B * kept])).reshape([B, kept, D]);
  return prefix === 0 ? chosen : concat([first, chosen], 1);
}

/** i32 [B 1]: the first row of each example in a table of B·T rows. */
function batchOffsets(B: number, T: number): Tensor {
  return iota(B).mul(T).reshape([B, 1]);
}
