import { iota, type Tensor } from "@vlm/core";
import { sumOverChunks } from "./chunks.ts";
import { checkPairs, normalize, type Scalar, scalarOf } from "./embeddings.ts";

/** Options of `siglipLoss`. */
export type SiglipLossOptions = {
  /** Rows of the logit matrix held at a time, for large batches. */
  chunk?: number;
};

/**
 * SigLIP's pairwise sigmoid loss (Zhai et al. 2023, equation in section 3.2): every image–text pair is its own yes-or-no
 * question, so the batch needs no normalising sum.
 *
 *   ℓ = −1/B Σᵢ Σⱼ log σ(zᵢⱼ (exp(t)·⟨Iᵢ, Tⱼ⟩ + b)),   zᵢⱼ = 1 on the diagonal, −1 elsewhere
 *
 * @param image [B D], normalised here
 * @param text [B D], normalised here
 * @param logScale t, learned, starts at ln 10, []
 * @param bias b, learned, starts at −10, []
 * @returns the loss in nats, summed over all B² pairs and divided by B, []
 */
export function siglipLoss(
  image: Tensor,
  text: Tensor,
  logScale: Scalar,
  bias: Scalar,
  options: SiglipLossOptions = {},
): Tensor {
  checkPairs("siglipLoss", image, text);
  const [scale, b] = [scalarOf(logScale).exp(), scalarOf(bias)];
  const [rows, others] = [normalize(image), normalize(text)];
  const batch = image.shape[0]!;
  const column = iota(batch);
  const total = sumOverChunks(rows, options.chunk, (block, start) => {
    const logits = block.matmul(others.transpose()).mul(scale).add(b); // [n B]
    const own = iota(block.shape[0]!).add(start).reshape([-1, 1]).eq(column);
    return own.where(logits.neg(), logits).softplus().sum(); // −log σ(z·x) = softplus(−z·x)
  });
  return total.div(batch);
}
