import type { Image } from "./image.ts";
import type { Weights } from "./resample.ts";
import { horizontalPass, verticalPass } from "./resample-passes.ts";
import { type ResampleModule, resampleModule } from "./resample-wasm.ts";

/** Input lines are taken in bands of at most so many bytes: the module's memory never grows beyond a few of these. */
const BAND = 4 * 2 ** 20;
/** Loads and stores reach up to 15 bytes past the last value. */
const SLACK = 64;

/** `horizontalPass`, in WebAssembly where it can run. */
export function fastHorizontal(
  image: Image,
  weights: Weights,
  fixed: Int32Array,
  bits: number,
  top: number,
  height: number,
): Image {
  const module = resampleModule();
  const { channels } = image;
  const stride = image.width * channels;
  const outStride = weights.length * channels;
  const band = Math.min(height, Math.floor(BAND / Math.max(stride, outStride)));
  if (module === null || band < 1) return horizontalPass(image, weights, fixed, bits, top, height);
  const tables = layTables(weights, fixed, channels, 2);
  const data = new Uint8ClampedArray(outStride * height);
  const source = align(tables.bytes);
  const target = align(source + band * stride + SLACK);
  const memory = room(module, target + band * outStride + SLACK);
  tables.write(memory);
  for (let y = 0; y < height; y += band) {
    const lines = Math.min(band, height - y);
    memory.set(image.data.subarray((top + y) * stride, (top + y + lines) * stride), source);
    module.horizontal(
      source,
      target,
      lines,
      stride,
      weights.length * 4,
      channels,
      tables.weights,
      0,
      tables.ends,
      tables.stride,
      bits,
    );
    data.set(memory.subarray(target, target + lines * outStride), y * outStride);
  }
  return { width: weights.length, height, channels, data };
}

/** `verticalPass`, in WebAssembly where it can run. */
export function fastVertical(image: Image, weights: Weights, fixed: Int32Array, bits: number, offset: number): Image {
  const module = resampleModule();
  const { channels, width } = image;
  const stride = width * channels;
  // As many output lines at a time as have their inputs in one band.
  const perLine = (weights.start[weights.length - 1]! - weights.start[0]!) / weights.length;
  const lines = Math.min(weights.length, Math.floor((BAND / stride - weights.taps) / Math.max(1, perLine)));
  if (module === null || lines < 1) return verticalPass(image, weights, fixed, bits, offset);
  const data = new Uint8ClampedArray(stride * weights.length);
  for (let y = 0; y < weights.length; y += lines) {
    const count = Math.min(lines, weights.length - y);
    const first = weights.start[y]!;
    const last = weights.start[y + count - 1]! + weights.count[y + count - 1]!;
    const part: Weights = {
      ...weights,
      length: count,
      start: weights.start.subarray(y, y + count).map((s) => s - first),
      count: weights.count.subarray(y, y + count),
    };
    const tables = layTables(part, fixed.subarray(y * weights.taps), stride, 1);
    const source = align(tables.bytes);
    const target = align(source + (last - first) * stride + SLACK);
    const memory = room(module, target + count * stride + SLACK);
    tables.write(memory);
    memory.set(image.data.subarray((first - offset) * stride, (last - offset) * stride), source);
    module.vertical(source, target, count, stride, 0, 0, tables.weights, 0, tables.ends, tables.stride, bits);
    data.set(memory.subarray(target, target + count * stride), y * stride);
  }
  return { width, height: weights.length, channels, data };
}

type Tables = { bytes: number; weights: number; ends: number; stride: number; write: (memory: Uint8Array) => void };

/**
 * Start offsets in bytes (at 0), ends of each weight row in bytes, and the weights, padded with zeros to a multiple of
 * `group` taps.
 */
function layTables(weights: Weights, fixed: Int32Array, unit: number, group: number): Tables {
  const { length, taps } = weights;
  const padded = Math.ceil(taps / group) * group;
  const values = new Int32Array(length * (2 + padded));
  for (let i = 0; i < length; i++) {
    values[i] = weights.start[i]! * unit;
    values[length + i] = Math.ceil(weights.count[i]! / group) * group * 4;
    for (let t = 0; t < weights.count[i]!; t++) values[2 * length + i * padded + t] = fixed[i * taps + t]!;
  }
  const bytes = new Uint8Array(values.buffer);
  return {
    bytes: bytes.length,
    ends: length * 4,
    weights: length * 8,
    stride: padded * 4,
    write: (memory) => memory.set(bytes),
  };
}

const align = (at: number): number => (at + 15) & ~15;

function room({ memory }: ResampleModule, bytes: number): Uint8Array {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65_536));
  return new Uint8Array(memory.buffer);
}
