import type { Tensor } from "@vlm/core";
import { sumOverChunks } from "./chunks.ts";
import { checkPairs, normalize, type Scalar, scalarOf } from "./embeddings.ts";

/** Options of `clipLoss`. */
export type ClipLossOptions = {
  /** Greatest logit scale that is used; the paper caps exp(t) at 100. Infinity never clamps. Default 100. */
  maxScale?: number;
  /** Rows of the logit matrix held at a time, for large batches: memory chunk × B instead of B². */
  chunk?: number;
};

/**
 * CLIP's symmetric contrastive loss (Radford et al. 2021, figure 3): the cross-entropy of picking each image's text
 * among the batch's texts, and each text's image among the images, averaged.
 *
 *   ℓ = ½ (CE(s·I Tᵀ, arange) + CE(s·T Iᵀ, arange)),   s = min(exp(t), maxScale)
 *
 * @param image [B D], normalised here
 * @param text [B D], normalised here; row i belongs to image row i
 * @param logScale t, the learned log of the inverse temperature, []
 * @returns the loss in nats, []
 */
export function clipLoss(image: Tensor, text: Tensor, logScale: Scalar, options: ClipLossOptions = {}): Tensor {
  checkPairs("clipLoss", image, text);
  const { maxScale = 100, chunk } = options;
  const t = scalarOf(logScale);
  const scale = (Number.isFinite(maxScale) ? t.minimum(Math.log(maxScale)) : t).exp();
  const [i, y] = [normalize(image), normalize(text)]; // [B D]
  const matching = i.mul(y).sum().mul(scale); // Σ s·⟨Iᵢ, Tᵢ⟩
  const towards = (rows: Tensor, others: Tensor): Tensor =>
    sumOverChunks(rows, chunk, (block) => block.matmul(others.transpose()).mul(scale).logsumexp(-1).sum());
  if (chunk === undefined || chunk >= image.shape[0]!) {
    const logits = i.matmul(y.transpose()).mul(scale); // [B B]
    return logits.logsumexp(-1).sum().add(logits.logsumexp(0).sum()).mul(0.5).sub(matching).div(image.shape[0]!);
  }
  return towards(i, y).add(towards(y, i)).mul(0.5).sub(matching).div(image.shape[0]!);
}
