import { VlmError } from "@vlm/core";

/** One bar of a reliability diagram. */
export type ReliabilityBin = {
  /** Confidences in (low, high] belong here; 0 belongs to the first. */
  low: number;
  high: number;
  count: number;
  /** Means over the bin; 0 when it is empty. */
  confidence: number;
  accuracy: number;
};

/** How well confidences say how often answers are right (Guo et al. 2017). */
export type Calibration = {
  /** Expected calibration error: the bins' distances |accuracy − confidence|, weighted by their counts. */
  ece: number;
  /** The largest of the distances. */
  mce: number;
  bins: ReliabilityBin[];
};

/**
 * How well confidence tells accuracy, in bins of equal width (Guo et al. 2017, equations 3 and 5).
 *
 *   ECE = Σ_b n_b / n · |acc(b) − conf(b)|
 *
 * @param confidences probability of the answer given, 0 to 1
 * @param correct whether the answer was right
 * @param bins how many; default 15, as in the paper
 */
export function calibration(
  confidences: ArrayLike<number>,
  correct: ArrayLike<boolean | number>,
  bins: number = 15,
): Calibration {
  const count = confidences.length;
  if (count === 0 || correct.length !== count || !Number.isInteger(bins) || bins < 1) {
    throw new VlmError("ArgumentError", "CALIBRATION", {
      what: `calibration: ${count} confidences, ${correct.length} answers, ${bins} bins`,
      hint: "give one confidence per answer, at least one of each",
    });
  }
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, accuracy: 0 }));
  for (let i = 0; i < count; i++) {
    const confidence = confidences[i]!;
    // Softmax in float32 may exceed 1 by its rounding.
    if (!(confidence >= 0 && confidence <= 1 + 1e-5)) {
      throw new VlmError("ArgumentError", "CONFIDENCE", {
        what: `calibration: confidence ${i} is ${confidence}`,
        hint: "a confidence is a probability, 0 to 1: apply softmax to logits first",
      });
    }
    const sum = sums[Math.min(bins - 1, Math.max(0, Math.ceil(confidence * bins) - 1))]!;
    sum.count++;
    sum.confidence += confidence;
    sum.accuracy += correct[i] ? 1 : 0;
  }
  const filled = sums.map(({ count: n, confidence, accuracy }, b) => ({
    low: b / bins,
    high: (b + 1) / bins,
    count: n,
    confidence: n > 0 ? confidence / n : 0,
    accuracy: n > 0 ? accuracy / n : 0,
  }));
  const gaps = filled.map((bin) => Math.abs(bin.accuracy - bin.confidence));
  return {
    ece: filled.reduce((total, bin, b) => total + (bin.count / count) * gaps[b]!, 0),
    mce: Math.max(...gaps),
    bins: filled,
  };
}
