export type Summary = { best: number; median: number; p90: number; mean: number; count: number };

/** Order statistics of times in milliseconds. */
export function summaryOf(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
  return { best: at(0), median: at(0.5), p90: at(0.9), mean, count: samples.length };
}

/** max |a − b| as a share of max |b|, the worst over tensors; infinite where lengths or finiteness differ. */
export function difference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const [i, x] of a.entries()) {
    const y = b[i]!;
    if (x.length !== y.length) return Number.POSITIVE_INFINITY;
    let [error, scale] = [0, 1e-30];
    for (let at = 0; at < x.length; at++) {
      const e = Math.abs(x[at]! - y[at]!);
      if (!(e <= error)) error = Number.isNaN(e) ? Number.POSITIVE_INFINITY : e;
      scale = Math.max(scale, Math.abs(y[at]!));
    }
    worst = Math.max(worst, error / scale);
  }
  return worst;
}
