import { VlmError } from "@vlm/core";

/** Accuracy of one model on the data it was made for and on shifted data, both 0 to 1. */
export type ShiftedAccuracy = { inDistribution: number; shifted: number };

/** Accuracy under a shift of the distribution. */
export type Robustness = {
  /** Accuracy lost under the shift: in-distribution − shifted. */
  drop: number;
  /** Share that is kept: shifted / in-distribution. */
  kept: number;
  /** Shifted accuracy that the baselines' trend expects of this in-distribution accuracy; null without baselines. */
  expected: number | null;
  /** shifted − expected: above 0 means more robust than the accuracy explains. */
  effective: number | null;
};

/**
 * Effective robustness (Taori et al. 2020, equation 1): ρ = acc_shift − β(acc), where β is the straight line that fits
 * baseline models' accuracies after the logit transform.
 *
 * @param baselines at least two models with different in-distribution accuracies; without them only the drop is told
 */
export function effectiveRobustness(model: ShiftedAccuracy, baselines: readonly ShiftedAccuracy[] = []): Robustness {
  for (const { inDistribution, shifted } of [model, ...baselines]) {
    if (inDistribution >= 0 && inDistribution <= 1 && shifted >= 0 && shifted <= 1) continue;
    throw new VlmError("ArgumentError", "ROBUSTNESS", {
      what: `effectiveRobustness: accuracies are ${inDistribution} and ${shifted}`,
      hint: "an accuracy is a share, 0 to 1",
    });
  }
  const drop = model.inDistribution - model.shifted;
  const kept = model.shifted / model.inDistribution;
  if (baselines.length === 0) return { drop, kept, expected: null, effective: null };
  const points = baselines.map(({ inDistribution, shifted }) => [logit(inDistribution), logit(shifted)] as const);
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (!(spread > 1e-12)) {
    throw new VlmError("ArgumentError", "ROBUSTNESS_TREND", {
      what: `effectiveRobustness: ${baselines.length} baselines of one accuracy give no trend`,
      hint: "give baselines of at least two different accuracies",
    });
  }
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const expected = 1 / (1 + Math.exp(-(meanY + slope * (logit(model.inDistribution) - meanX))));
  return { drop, kept, expected, effective: model.shifted - expected };
}

/** Accuracies of 0 and 1 are moved inside: their logits are infinite. */
function logit(share: number): number {
  const inside = Math.min(1 - 1e-4, Math.max(1e-4, share));
  return Math.log(inside / (1 - inside));
}
