/**
 * The two resampling passes in WebAssembly SIMD, four or eight values at a time: the same 32-bit integer arithmetic
 * as `resample-passes.ts`, which remains the definition and the fallback (no SIMD, or a content security policy
 * without 'wasm-unsafe-eval').
 */

import { advance, type Code, constant, get, instantiate, load, repeat, set, simd } from "./wasm-code.ts";

/** Both passes take their arguments in memory addresses and byte counts. */
type Pass = (
  source: number,
  target: number,
  lines: number,
  stride: number,
  length: number,
  step: number,
  weights: number,
  starts: number,
  ends: number,
  weightStride: number,
  bits: number,
) => void;

/** The instance: passes and the memory that they read and write. */
export type ResampleModule = { memory: WebAssembly.Memory; horizontal: Pass; vertical: Pass };

let instance: ResampleModule | null | undefined;

/** The module, or null where it cannot run. */
export function resampleModule(): ResampleModule | null {
  if (instance === undefined) {
    instance = instantiate<ResampleModule>({ parameters: 11, integers: 8, vectors: 4 }, { horizontal, vertical });
  }
  return instance;
}

// Parameters and locals of both functions, by index.
const [SOURCE, TARGET, LINES, STRIDE, LENGTH, STEP, WEIGHTS, STARTS, ENDS, WEIGHT_STRIDE, BITS] = [
  ...Array(11).keys(),
] as [number, number, number, number, number, number, number, number, number, number, number];
const [OUTER, INNER, FROM, WEIGHT, END, START_AT, END_AT, WEIGHT_AT] = [11, 12, 13, 14, 15, 16, 17, 18] as const;
const [HALF, SUM, SUM2, LOADED] = [19, 20, 21, 22] as const;

const multiplyAdd = (sum: number, value: Code, weight: Code): Code => [
  ...get(sum),
  ...value,
  ...weight,
  ...simd(0xb5), // i32x4.mul
  ...simd(0xae), // i32x4.add
  ...set(sum),
];
/** Splat of the weight at `offset` bytes after the current one. */
const weightAt = (offset: number): Code => [...get(WEIGHT), ...simd(0x09, 2, offset)];
const lowWords = simd(0xa9); // i32x4.extend_low_i16x8_u
const highWords = simd(0xaa); // i32x4.extend_high_i16x8_u
const shifted = (sum: number): Code => [...get(sum), ...get(BITS), ...simd(0xac)]; // i32x4.shr_s
/** Two vectors of sums to bytes cut to 0..255. */
const toBytes = (a: number, b: number): Code => [
  ...shifted(a),
  ...shifted(b),
  ...simd(0x85), // i16x8.narrow_i32x4_s
  ...simd(0x0c, ...Array<number>(16).fill(0)), // v128.const 0
  ...simd(0x66), // i8x16.narrow_i16x8_u
];
const half: Code = [...constant(1), ...get(BITS), ...constant(1), 0x6b, 0x74, ...simd(0x11), ...set(HALF)];

/** One tap of one pixel: its bytes, up to four channels at once, widened, times the weight. */
const tap = (pixel: Code, weight: Code): Code =>
  multiplyAdd(SUM, [...pixel, ...simd(0x5c, 0, 0), ...simd(0x89), ...lowWords], weight);

/** For each line, for each output pixel: sum over taps, two at a time. `length` is in bytes of the start table. */
const horizontal: Code = [
  ...half,
  ...repeat(
    OUTER,
    get(LINES),
    [...get(STARTS), ...set(START_AT), ...get(ENDS), ...set(END_AT), ...get(WEIGHTS), ...set(WEIGHT_AT)],
    [...constant(0), ...set(INNER)],
    repeat(
      INNER,
      get(LENGTH),
      [...get(HALF), ...set(SUM)],
      [...get(SOURCE), ...get(START_AT), ...load(), 0x6a, ...set(FROM)],
      [...get(WEIGHT_AT), ...set(WEIGHT), ...get(WEIGHT_AT), ...get(END_AT), ...load(), 0x6a, ...set(END)],
      repeat(
        WEIGHT,
        get(END),
        tap(get(FROM), weightAt(0)),
        tap([...get(FROM), ...get(STEP), 0x6a], weightAt(4)),
        advance(FROM, [...get(STEP), ...constant(1), 0x74]),
        advance(WEIGHT, constant(8)),
      ),
      [...get(TARGET), ...toBytes(SUM, SUM), ...simd(0x5a, 0, 0, 0)], // v128.store32_lane
      advance(TARGET, get(STEP)),
      advance(START_AT, constant(4)),
      advance(END_AT, constant(4)),
      advance(WEIGHT_AT, get(WEIGHT_STRIDE)),
      advance(INNER, constant(4)),
    ),
    advance(SOURCE, get(STRIDE)),
    advance(OUTER, constant(1)),
  ),
  0x0b,
];

/** For each output line, for each group of eight values: sum over the lines it is made of. */
const vertical: Code = [
  ...half,
  ...[...get(WEIGHTS), ...set(WEIGHT_AT)],
  ...repeat(
    OUTER,
    get(LINES),
    [...constant(0), ...set(INNER)],
    repeat(
      INNER,
      get(STRIDE),
      [...get(HALF), ...set(SUM), ...get(HALF), ...set(SUM2)],
      [...get(SOURCE), ...get(INNER), 0x6a, ...get(STARTS), ...load(), 0x6a, ...set(FROM)],
      [...get(WEIGHT_AT), ...set(WEIGHT), ...get(WEIGHT_AT), ...get(ENDS), ...load(), 0x6a, ...set(END)],
      repeat(
        WEIGHT,
        get(END),
        [...get(FROM), ...simd(0x02, 0, 0), ...set(LOADED)], // v128.load8x8_u
        multiplyAdd(SUM, [...get(LOADED), ...lowWords], weightAt(0)),
        multiplyAdd(SUM2, [...get(LOADED), ...highWords], weightAt(0)),
        advance(FROM, get(STRIDE)),
        advance(WEIGHT, constant(4)),
      ),
      [...get(TARGET), ...get(INNER), 0x6a, ...toBytes(SUM, SUM2), ...simd(0x5b, 0, 0, 0)], // v128.store64_lane
      advance(INNER, constant(8)),
    ),
    advance(TARGET, get(STRIDE)),
    advance(STARTS, constant(4)),
    advance(ENDS, constant(4)),
    advance(WEIGHT_AT, get(WEIGHT_STRIDE)),
    advance(OUTER, constant(1)),
  ),
  0x0b,
];
