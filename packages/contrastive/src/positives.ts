import { iota, type Tensor, VlmError } from "@vlm/core";
import { checkSides, checkTemperature, normalize, type Scalar, scalarOf } from "./embeddings.ts";

/**
 * Supervised contrastive loss (Khosla et al. 2020, equation 2, the form with the sum outside the log): every other item
 * of the same class is a positive. Items without one do not count.
 *
 * @param z [N D] embeddings, normalised here
 * @param labels i32 [N] classes
 * @param temperature τ; 0.1 in the paper
 * @returns the loss in nats, averaged over items that have a positive, []
 */
export function supervisedContrastive(z: Tensor, labels: Tensor, temperature = 0.1): Tensor {
  checkTemperature("supervisedContrastive", temperature);
  if (z.rank !== 2 || labels.rank !== 1 || labels.shape[0] !== z.shape[0]) {
    throw new VlmError("ShapeError", "LABELS_UNEQUAL", {
      what: `supervisedContrastive: embeddings [${z.shape.join(" ")}] and labels [${labels.shape.join(" ")}]`,
      hint: "give [N D] embeddings and one class per row, [N]",
    });
  }
  checkSides("supervisedContrastive", z, z);
  const n = z.shape[0]!;
  const x = normalize(z);
  const row = iota(n);
  const self = row.reshape([-1, 1]).eq(row);
  const logits = self.where(-1e30, x.matmul(x.transpose()).div(temperature)); // [N N]
  const logProbability = logits.sub(logits.logsumexp(-1, { keepDims: true }));
  const same = labels.reshape([-1, 1]).eq(labels);
  const positive = self.where(0, same.cast("f32")); // [N N]
  const count = positive.sum(-1); // [N]
  const each = positive.gt(0).where(logProbability, 0).sum(-1).div(count.maximum(1)).neg();
  return each.sum().div(count.gt(0).cast("f32").sum().maximum(1));
}

/**
 * Contrastive loss with several right answers per row (UniCL, Yang et al. 2022, equations 2 and 3): the cross-entropy
 * towards an even share among the positives, in both directions, averaged. One positive per row gives CLIP's loss.
 *
 * @param image [B D], normalised here
 * @param text [C D], normalised here
 * @param positives [B C] bool or weights ≥ 0: which texts belong to which image; every row and column has one
 * @param logScale t, learned, []
 * @returns the loss in nats, []
 */
export function multiPositiveLoss(image: Tensor, text: Tensor, positives: Tensor, logScale: Scalar): Tensor {
  checkSides("multiPositiveLoss", image, text);
  if (positives.rank !== 2 || positives.shape[0] !== image.shape[0] || positives.shape[1] !== text.shape[0]) {
    throw new VlmError("ShapeError", "POSITIVES_SHAPE", {
      what: `multiPositiveLoss: ${image.shape[0]} images and ${text.shape[0]} texts, positives [${positives.shape.join(" ")}]`,
      hint: "positives has a row per image and a column per text",
    });
  }
  const logits = normalize(image).matmul(normalize(text).transpose()).mul(scalarOf(logScale).exp()); // [B C]
  const weights = positives.cast("f32");
  const towards = (axis: number): Tensor => {
    const share = weights.div(weights.sum(axis, { keepDims: true }).maximum(1e-12));
    return logits
      .sub(logits.logsumexp(axis, { keepDims: true }))
      .mul(share)
      .sum(axis)
      .mean()
      .neg();
  };
  return towards(1).add(towards(0)).mul(0.5);
}
