import { customGradient, type Tensor } from "@vlm/core";
import { inBlocks } from "./chunks.ts";
import { checkChunk, checkPairs, normalize, type Scalar, scalarOf } from "./embeddings.ts";
import { cappedScale } from "./temperature.ts";

/** Options of `clipLoss`. */
export type ClipLossOptions = {
  /** Greatest logit scale that is used; the paper caps exp(t) at 100. Infinity never clamps. Default 100. */
  maxScale?: number;
  /**
   * Rows of the logit matrix held at a time, for large batches: memory for chunk·B logits instead of B². The logits are
   * computed six times instead of three; losses and gradients are the same.
   */
  chunk?: number;
};

/**
 * CLIP's symmetric contrastive loss (Radford et al. 2021, figure 3): the cross-entropy of picking each image's text
 * among the batch's texts, and each text's image among the images, averaged.
 *
 *   ℓ = ½ (CE(s·I Tᵀ, arange) + CE(s·T Iᵀ, arange)),   s = min(exp(t), maxScale)
 *
 * At the cap t learns to become smaller, not greater (section 2.5: "clipped to prevent scaling the logits by more than
 * 100").
 *
 * @param image [B D], normalised here
 * @param text [B D], normalised here; row i belongs to image row i
 * @param logScale t, the learned log of the inverse temperature, []
 * @returns the loss in nats, []
 */
export function clipLoss(image: Tensor, text: Tensor, logScale: Scalar, options: ClipLossOptions = {}): Tensor {
  checkPairs("clipLoss", image, text);
  checkChunk("clipLoss", options.chunk);
  const { maxScale = 100, chunk } = options;
  const B = image.shape[0]!;
  const s = cappedScale(scalarOf(logScale), maxScale);
  const [i, y] = [normalize(image), normalize(text)]; // [B D]
  const matching = i.mul(y).sum(-1).mul(s); // s·⟨Iᵢ, Tᵢ⟩, [B]
  if (chunk !== undefined && chunk < B) return normalisers(chunk)(i, y, s).sub(matching.sum()).div(B);
  const logits = i.matmul(y.transpose()).mul(s); // [B B]
  return logits.logsumexp(-1).add(logits.logsumexp(0)).mul(0.5).sub(matching).mean();
}

/**
 * ½ (Σᵢ log Σⱼ exp lᵢⱼ + Σⱼ log Σᵢ exp lᵢⱼ) of the logits l = s·I Tᵀ, a block of rows at a time, then of columns; the
 * same for its gradient,
 *
 *   gᵢⱼ = ½ (exp(lᵢⱼ − rᵢ) + exp(lᵢⱼ − cⱼ)),   ∂I = s·g T,   ∂T = s·gᵀ I,   ∂s = Σᵢ ⟨(g T)ᵢ, Iᵢ⟩
 *
 * where r and c are the logarithms above: neither pass adds up over blocks, so that none waits for another.
 */
const normalisers = (chunk: number): ((...inputs: Tensor[]) => Tensor) => {
  const logSums = (rows: Tensor, others: Tensor, s: Tensor): Tensor =>
    inBlocks(rows, chunk, (block) => block.matmul(others.transpose()).mul(s).logsumexp(-1)); // [B]
  return customGradient(
    (i, t, s) =>
      logSums(i!, t!, s!)
        .add(logSums(t!, i!, s!))
        .sum()
        .mul(0.5),
    (dy, [i, t, s]) => {
      const [r, c] = [logSums(i!, t!, s!), logSums(t!, i!, s!)];
      const towards = (rows: Tensor, others: Tensor, own: Tensor, other: Tensor): Tensor =>
        inBlocks(rows, chunk, (block, start, end) => {
          // Scaled before the product: other nodes than the forward pass's, so that those are not kept until here.
          const l = block.mul(s!).matmul(others.transpose()); // [n B]
          const g = l
            .sub(own.slice([start, end]).reshape([-1, 1]))
            .exp()
            .add(l.sub(other).exp())
            .mul(0.5);
          return g.matmul(others); // [n D]
        });
      const [gt, gi] = [towards(i!, t!, r, c), towards(t!, i!, c, r)];
      return [gt.mul(s!).mul(dy), gi.mul(s!).mul(dy), gt.mul(i!).sum().mul(dy)];
    },
  );
};
