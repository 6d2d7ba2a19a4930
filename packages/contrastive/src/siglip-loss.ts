import { concat, customGradient, iota, ones, type Tensor } from "@vlm/core";
import { inBlocks } from "./chunks.ts";
import { checkChunk, checkPairs, normalize, type Scalar, scalarOf } from "./embeddings.ts";

/** Options of `siglipLoss`. */
export type SiglipLossOptions = {
  /** Rows of the logit matrix held at a time, for large batches: memory for chunk·B logits instead of B². */
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
  checkChunk("siglipLoss", options.chunk);
  const [s, b] = [scalarOf(logScale).exp(), scalarOf(bias)];
  const [i, t] = [normalize(image), normalize(text)];
  const B = image.shape[0]!;
  const { chunk } = options;
  const total = chunk !== undefined && chunk < B ? inChunks(chunk)(i, t, s, b) : whole(i, t, s, b);
  return total.div(B);
}

const whole = (i: Tensor, t: Tensor, s: Tensor, b: Tensor): Tensor =>
  ofLogits(i.matmul(t.transpose()).mul(s).add(b), 0).sum();

/** −log σ(z·l) = softplus(−z·l) of the logits' rows start …: [n B]. */
const ofLogits = (l: Tensor, start: number): Tensor => isOwn(l, start).where(l.neg(), l).softplus();

/** Where row and column are one pair, [n B]. */
const isOwn = (l: Tensor, start: number): Tensor => iota(l.shape[0]!).add(start).reshape([-1, 1]).eq(iota(l.shape[1]!));

/**
 * The sum over all pairs a block of rows at a time, and its gradient by rows and then by columns:
 *
 *   gᵢⱼ = −zᵢⱼ σ(−zᵢⱼ lᵢⱼ),   ∂I = s·g T,   ∂T = s·gᵀ I,   ∂s = Σᵢ ⟨(g T)ᵢ, Iᵢ⟩,   ∂b = Σᵢⱼ gᵢⱼ
 */
const inChunks = (chunk: number): ((...inputs: Tensor[]) => Tensor) =>
  customGradient(
    (i, t, s, b) =>
      inBlocks(i!, chunk, (block, start) =>
        ofLogits(block.matmul(t!.transpose()).mul(s!).add(b!), start).sum(-1),
      ).sum(),
    (dy, [i, t, s, b]) => {
      // With a column of ones the product also holds the sums of g's rows.
      const withOnes = (x: Tensor): Tensor => concat([x, ones([x.shape[0]!, 1])], 1); // [B D+1]
      const towards = (rows: Tensor, others: Tensor): Tensor =>
        inBlocks(rows, chunk, (block, start) => {
          // Scaled before the product: other nodes than the forward pass's, so that those are not kept until here.
          const l = block.mul(s!).matmul(others.transpose()).add(b!); // [n B]
          const g = isOwn(l, start).where(l.neg().sigmoid().neg(), l.sigmoid());
          return g.matmul(withOnes(others)); // [n D+1]
        });
      const D = i!.shape[1]!;
      const [gt, gi] = [towards(i!, t!), towards(t!, i!)];
      const [di, dt] = [gt.slice(null, [0, D]), gi.slice(null, [0, D])];
      return [di.mul(s!).mul(dy), dt.mul(s!).mul(dy), di.mul(i!).sum().mul(dy), gt.slice(null, D).sum().mul(dy)];
    },
  );
