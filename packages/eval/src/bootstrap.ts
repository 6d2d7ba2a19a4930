import { VlmError } from "@vlm/core";

/** A mean with its interval. */
export type Estimate = {
  value: number;
  /** Ends of the interval. */
  low: number;
  high: number;
  /** How many things the mean is over. */
  count: number;
};

/** How confidence intervals are drawn. */
export type BootstrapOptions = {
  /** Share of resamples inside the interval. Default 0.95. */
  level?: number;
  /** Resamples drawn. Default 1000. */
  samples?: number;
  /** Where the resamples come from: the same seed gives the same interval. Default 0. */
  seed?: number;
};

/**
 * The mean of values and its percentile bootstrap interval (Efron & Tibshirani 1993, section 13.3): the values are drawn
 * anew with replacement, and the interval holds the middle `level` of the resamples' means. Values must be independent:
 * for several crops of an image pass the image's mean.
 *
 * @param values for an accuracy, 1 where the answer was right and 0 elsewhere
 */
export function bootstrap(values: ArrayLike<number>, options: BootstrapOptions = {}): Estimate {
  const { level = 0.95, samples = 1000, seed = 0 } = options;
  const count = values.length;
  if (count === 0 || !(level > 0 && level < 1) || !Number.isInteger(samples) || samples < 2) {
    throw new VlmError("ArgumentError", "BOOTSTRAP", {
      what: `bootstrap: ${count} values, ${samples} resamples, level ${level}`,
      hint: "there is at least one value, two resamples, and a level between 0 and 1",
    });
  }
  let sum = 0;
  for (let i = 0; i < count; i++) sum += values[i]!;
  const draw = generator(seed);
  const means = Float64Array.from({ length: samples }, () => {
    let total = 0;
    for (let i = 0; i < count; i++) total += values[Math.floor(draw() * count)]!;
    return total / count;
  }).sort();
  const tail = (1 - level) / 2;
  return { value: sum / count, low: quantile(means, tail), high: quantile(means, 1 - tail), count };
}

/** The value below which a share of sorted values lies, interpolated (Hyndman & Fan 1996, type 7). */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const [below, above] = [Math.floor(at), Math.ceil(at)];
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (at - below);
}

/** Uniform numbers in [0, 1): the mixing function of MurmurHash3 over a counter. */
export function generator(seed: number): () => number {
  let state = Math.imul(seed | 0, 0x9e3779b9);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}
