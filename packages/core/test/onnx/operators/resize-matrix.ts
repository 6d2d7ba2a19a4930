/** ONNX's Resize along one axis as a matrix: its many conventions are numbers, the resizing itself is core's product. */
export type ResizeSettings = {
  mode: string;
  transform: string;
  nearest: string;
  cubic: number;
  excludeOutside: boolean;
  antialias: boolean;
  outside: number;
};

function place(
  o: number,
  n: number,
  out: number,
  scale: number,
  roi: readonly [number, number],
  transform: string,
): number {
  const length = scale * n;
  switch (transform) {
    case "asymmetric":
      return o / scale;
    case "align_corners":
      return length <= 1 ? 0 : (o * (n - 1)) / (length - 1);
    case "pytorch_half_pixel":
      return length <= 1 ? -0.5 : (o + 0.5) / scale - 0.5;
    case "tf_half_pixel_for_nn":
      return (o + 0.5) / scale;
    case "tf_crop_and_resize":
      return out > 1
        ? roi[0] * (n - 1) + (o * (roi[1] - roi[0]) * (n - 1)) / (out - 1)
        : 0.5 * (roi[0] + roi[1]) * (n - 1);
    case "half_pixel_symmetric": {
      const adjustment = out / length;
      return (n / 2) * (1 - adjustment) + (o + 0.5) / scale - 0.5;
    }
    default:
      return (o + 0.5) / scale - 0.5;
  }
}

function nearestOf(x: number, mode: string): number {
  switch (mode) {
    case "round_prefer_ceil":
      return Math.floor(x + 0.5);
    case "floor":
      return Math.floor(x);
    case "ceil":
      return Math.ceil(x);
    default:
      return Math.ceil(x - 0.5);
  }
}

/** Taps and weights around `x`, before the border is dealt with. */
function taps(x: number, scale: number, { mode, cubic: a, antialias }: ResizeSettings): [number, number][] {
  const shrink = antialias ? Math.min(scale, 1) : 1;
  const weight = (d: number): number => {
    const t = Math.abs(d) * shrink;
    if (mode === "linear") return Math.max(0, 1 - t);
    if (t < 1) return (a + 2) * t ** 3 - (a + 3) * t ** 2 + 1;
    return t < 2 ? a * t ** 3 - 5 * a * t ** 2 + 8 * a * t - 4 * a : 0;
  };
  const reach = (mode === "linear" ? 1 : 2) / shrink;
  const list: [number, number][] = [];
  for (let i = Math.floor(x - reach) + 1; i <= Math.ceil(x + reach) - 1; i++) list.push([i, weight(i - x)]);
  if (list.length === 0) list.push([Math.round(x), 1]);
  const sum = antialias ? list.reduce((s, [, w]) => s + w, 0) : 1;
  return list.map(([i, w]) => [i, w / sum]);
}

/** Rows of weights [out n], and where the result is the extrapolation value instead. */
export function resizeMatrix(
  n: number,
  out: number,
  scale: number,
  roi: readonly [number, number],
  settings: ResizeSettings,
): { weights: Float64Array; outside: Float64Array } {
  const weights = new Float64Array(out * n);
  const outside = new Float64Array(out);
  const inside = (i: number): number => Math.min(Math.max(i, 0), n - 1);
  for (let o = 0; o < out; o++) {
    const x = place(o, n, out, scale, roi, settings.transform);
    if (settings.transform === "tf_crop_and_resize" && (x < 0 || x > n - 1)) {
      outside[o] = 1;
      continue;
    }
    if (settings.mode === "nearest") {
      weights[o * n + inside(nearestOf(x, settings.nearest))] = 1;
      continue;
    }
    let list = taps(x, scale, settings);
    if (settings.excludeOutside) {
      list = list.filter(([i]) => i >= 0 && i < n);
      const sum = list.reduce((s, [, w]) => s + w, 0);
      list = list.map(([i, w]) => [i, w / sum]);
    }
    for (const [i, w] of list) weights[o * n + inside(i)]! += w;
  }
  return { weights, outside };
}
