import { eye, type Tensor } from "@vlm/core";
import { type Attention, tap } from "@vlm/nn";
import type { ViT } from "./vit.ts";

/**
 * How much each query of an attention takes from each key, softmax(q·kᵀ/√d): [B N D] → [B H N M]. Recomputed, because
 * attention itself never holds this matrix. For attention without rotary positions, norms of heads, or shared keys.
 *
 * @param context where keys come from in cross-attention, [B M E]
 */
export function attentionWeights(attention: Attention, x: Tensor, context?: Tensor): Tensor {
  const { heads, width } = attention.config;
  const split = (y: Tensor): Tensor => {
    const [B, N, D] = y.dims(3);
    return y.reshape([B, N, heads, D / heads]).permute([0, 2, 1, 3]); // [B H N d]
  };
  const [q, k] = attention.qkv
    ? x.pipe(attention.qkv).split(width, -1)
    : [x.pipe(attention.q!), context!.pipe(attention.kv!).split(width, -1)[0]!];
  const [queries, keys] = [split(q!), split(k!)];
  return queries
    .matmul(keys.transpose())
    .mul(queries.shape[3]! ** -0.5)
    .softmax(-1);
}

/** The attention of each block, [B H T T]; and of the pool's probe to the tokens, [B H 1 T], where there is one. */
export type AttentionMaps = { blocks: Tensor[]; pool: Tensor | null };

/** Attention of a Vision Transformer to its tokens: [B C H W] → one map per block. */
export function attentionMaps(model: ViT, image: Tensor): AttentionMaps {
  let tokens: Tensor | undefined;
  const taps = tap(model, () => {
    tokens = model.tokens(image);
  });
  const blocks = model.blocks.map(({ attention }, i) => attentionWeights(attention, taps.get(`blocks.${i}.norm1`)!));
  if (!model.pool || !tokens) return { blocks, pool: null };
  const probe = model.pool.probe.expand([image.shape[0]!, 1, model.width]);
  return { blocks, pool: attentionWeights(model.pool.attention, probe, tokens) };
}

/**
 * What reaches each token of the last block from each token of the first: attention rollout (Abnar & Zuidema 2020,
 * arXiv:2005.00928, section 3.2), with half of each block passed on unchanged for the residual connection.
 *
 *   R = ∏ (½ mean_h(A) + ½ I)
 *
 * @param blocks [B H T T] each, first block first
 * @returns [B T T]; rows sum to 1
 */
export function attentionRollout(blocks: readonly Tensor[]): Tensor {
  const step = (block: Tensor): Tensor => block.mean(1).add(eye(block.shape[2]!)).mul(0.5); // [B T T]
  const [first, ...rest] = blocks.map(step);
  if (!first) throw new RangeError("attentionRollout: no blocks");
  return rest.reduce((rolled, next) => next.matmul(rolled), first);
}
