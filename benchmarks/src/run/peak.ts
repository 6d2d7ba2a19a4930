/** The fastest that WebAssembly can multiply and add here: a loop of relaxed_madd on twelve registers, no memory. */
import { enableRelaxedSimd } from "@vlm/core";

const ACCUMULATORS = 12;
const STEPS = 100_000;

function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

const section = (id: number, body: readonly number[]): number[] => [id, ...leb(body.length), ...body];

/** `run(steps: i32) → f32`. Local 0 counts, 1 to 12 sum up, 13 and 14 hold the operands. */
function moduleBytes(): Uint8Array {
  const [V128, I32, F32] = [0x7b, 0x7f, 0x7d];
  const get = (at: number): number[] => [0x20, ...leb(at)];
  const set = (at: number): number[] => [0x21, ...leb(at)];
  const simd = (code: number): number[] => [0xfd, ...leb(code)];
  const constant = (value: number): number[] => [0x43, ...new Uint8Array(Float32Array.of(value).buffer), ...simd(19)];
  const [x, y] = [ACCUMULATORS + 1, ACCUMULATORS + 2];
  const sums = Array.from({ length: ACCUMULATORS }, (_, i) => i + 1);
  const body = [
    ...sums.flatMap((at) => [...constant(at), ...set(at)]),
    ...[...constant(1.0000001), ...set(x), ...constant(1e-9), ...set(y)],
    ...[0x03, 0x40],
    ...sums.flatMap((at) => [...get(at), ...get(x), ...get(y), ...simd(0x105), ...set(at)]),
    ...[...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b],
    ...get(1),
    ...sums.slice(1).flatMap((at) => [...get(at), ...simd(228)]),
    ...[...simd(31), 0, 0x0b],
  ];
  const code = [1, ...leb(ACCUMULATORS + 2), V128, ...body];
  return Uint8Array.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 1, F32]),
    ...section(3, [1, 0]),
    ...section(7, [1, 3, 114, 117, 110, 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

/** GFLOP/s of one thread, the best of many short windows; null where the engine has no relaxed SIMD. */
export async function relaxedPeak(): Promise<number | null> {
  if (!(await enableRelaxedSimd())) return null;
  const { instance } = await WebAssembly.instantiate(moduleBytes() as BufferSource);
  const run = instance.exports.run as (steps: number) => number;
  let best = 0;
  for (let round = 0; round < 400; round++) {
    const start = performance.now();
    run(STEPS);
    best = Math.max(best, (STEPS * ACCUMULATORS * 8) / (performance.now() - start) / 1e6);
  }
  return best;
}
