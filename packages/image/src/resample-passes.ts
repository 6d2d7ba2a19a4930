import type { Image } from "./image.ts";
import type { Weights } from "./resample.ts";

/** Resamples each of rows `top` to `top + height - 1`; the result has `weights.length` columns. */
export function horizontalPass(
  plane: Image,
  weights: Weights,
  fixed: Int32Array,
  bits: number,
  top: number,
  height: number,
): Image {
  const data = new Uint8ClampedArray(weights.length * height * plane.channels);
  // One loop per channel count: the compiler keeps each accumulator in a register.
  const pass = plane.channels === 3 ? horizontal3 : horizontalAny;
  pass(plane, weights, fixed, bits, top, height, data);
  return { width: weights.length, height, channels: plane.channels, data };
}

type Pass = (
  plane: Image,
  weights: Weights,
  fixed: Int32Array,
  bits: number,
  top: number,
  height: number,
  out: Uint8ClampedArray,
) => void;

const horizontal3: Pass = (plane, weights, fixed, bits, top, height, out) => {
  const { data, width } = plane;
  const { taps, start, count, length } = weights;
  const half = 1 << (bits - 1);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const line = (top + y) * width * 3;
    for (let x = 0; x < length; x++) {
      let r = half;
      let g = half;
      let b = half;
      let from = line + start[x]! * 3;
      const first = x * taps;
      const last = first + count[x]!;
      for (let t = first; t < last; t++) {
        const w = fixed[t]!;
        r = (r + Math.imul(data[from]!, w)) | 0;
        g = (g + Math.imul(data[from + 1]!, w)) | 0;
        b = (b + Math.imul(data[from + 2]!, w)) | 0;
        from += 3;
      }
      // A clamped array cuts to 0..255 on store.
      out[to] = r >> bits;
      out[to + 1] = g >> bits;
      out[to + 2] = b >> bits;
      to += 3;
    }
  }
};

const horizontalAny: Pass = (plane, weights, fixed, bits, top, height, out) => {
  const { data, width, channels } = plane;
  const { taps, start, count, length } = weights;
  const half = 1 << (bits - 1);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const line = (top + y) * width * channels;
    for (let x = 0; x < length; x++) {
      const first = x * taps;
      const last = first + count[x]!;
      for (let c = 0; c < channels; c++) {
        let sum = half;
        let from = line + start[x]! * channels + c;
        for (let t = first; t < last; t++) {
          sum = (sum + Math.imul(data[from]!, fixed[t]!)) | 0;
          from += channels;
        }
        out[to++] = sum >> bits;
      }
    }
  }
};

/** Resamples every column; `offset` is the input row that the plane's first line holds. */
export function verticalPass(plane: Image, weights: Weights, fixed: Int32Array, bits: number, offset: number): Image {
  const { data, width, channels } = plane;
  const { taps, start, count, length } = weights;
  const stride = width * channels;
  const out = new Uint8ClampedArray(stride * length);
  const sums = new Int32Array(stride);
  const half = 1 << (bits - 1);
  for (let y = 0; y < length; y++) {
    sums.fill(half);
    for (let t = 0; t < count[y]!; t++) {
      const w = fixed[y * taps + t]!;
      if (w === 0) continue;
      const from = (start[y]! - offset + t) * stride;
      for (let i = 0; i < stride; i++) sums[i] = (sums[i]! + Math.imul(data[from + i]!, w)) | 0;
    }
    const to = y * stride;
    for (let i = 0; i < stride; i++) out[to + i] = sums[i]! >> bits;
  }
  return { width, height: length, channels, data: out };
}
