/** Resampling filters, by Pillow's names. */
export type Filter = "nearest" | "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** A filter's shape: its weight at distance x from the centre, zero beyond `support`. */
export type FilterShape = { support: number; weight: (x: number) => number };

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** Pillow's filters (Resample.c). Bicubic has a = -0.5; the Hamming constants are single precision there. */
export const filterShapes: Record<Exclude<Filter, "nearest">, FilterShape> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => {
      const d = Math.abs(x);
      if (d === 0) return 1;
      if (d >= 1) return 0;
      return sinc(d) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(d * Math.PI));
    },
  },
  bicubic: {
    support: 2,
    weight: (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      if (d < 2) return (((d - 5) * d + 8) * d - 4) * -0.5;
      return 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * For each wanted output position: the first input position, how many are used, and their weights
 * (`taps` per output position, unused ones zero). Weights of one output position sum to 1.
 */
export type Weights = {
  length: number;
  taps: number;
  start: Int32Array;
  count: Int32Array;
  weight: Float64Array;
};

/** Antialiased weights for outputs `from` to `from + length - 1` of a line of `size` pixels resized to `target`. */
export function resampleWeights(
  size: number,
  target: number,
  shape: FilterShape,
  from = 0,
  length: number = target,
): Weights {
  const scale = size / target;
  const stretch = Math.max(scale, 1);
  const support = shape.support * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(length);
  const count = new Int32Array(length);
  const weight = new Float64Array(length * taps);
  const inverse = 1 / stretch;
  for (let i = 0; i < length; i++) {
    const center = (from + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const n = Math.min(size, Math.trunc(center + support + 0.5)) - first;
    let sum = 0;
    for (let t = 0; t < n; t++) {
      const w = shape.weight((t + first - center + 0.5) * inverse);
      weight[i * taps + t] = w;
      sum += w;
    }
    if (sum !== 0) for (let t = 0; t < n; t++) weight[i * taps + t]! /= sum;
    start[i] = first;
    count[i] = n;
  }
  return { length, taps, start, count, weight };
}

/** Weights as integers of `bits` fractional bits, rounded half away from zero. */
export function fixedPoint(weights: Weights, bits: number): Int32Array {
  const unit = 2 ** bits;
  const fixed = new Int32Array(weights.weight.length);
  for (let i = 0; i < fixed.length; i++) {
    const w = weights.weight[i]!;
    fixed[i] = Math.trunc(w < 0 ? w * unit - 0.5 : w * unit + 0.5);
  }
  return fixed;
}

/** Fractional bits of Pillow's weights: 32 minus 8 for the result minus 2 for overshoot. */
export const PILLOW_BITS = 22;

/** Fractional bits of torchvision's uint8 weights: as many as keep the largest weight within 16 bits. */
export function torchvisionBits(weights: Weights): number {
  let largest = 0;
  for (const w of weights.weight) largest = Math.max(largest, w);
  let bits = 0;
  while (bits < PILLOW_BITS && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++;
  return bits;
}
