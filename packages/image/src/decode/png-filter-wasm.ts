/**
 * PNG's row filters in WebAssembly SIMD, a pixel of up to eight bytes at a time: the same arithmetic as `png-filter.ts`, which
 * remains the definition and the fallback.
 */
import { advance, type Code, constant, get, instantiate, repeat, set, simd } from "../wasm-code.ts";

/** A filtered row, the row above and where the result goes; all may be read and written up to 16 bytes past the end. */
type RowFilter = (source: number, above: number, target: number, sourceEnd: number, step: number) => void;

/** The instance, by the filters' numbers in PNG: 1 sub, 2 up, 3 average, 4 Paeth. */
type FilterModule = { memory: WebAssembly.Memory; sub: RowFilter; up: RowFilter; average: RowFilter; paeth: RowFilter };

const [SOURCE, ABOVE, TARGET, END, STEP] = [0, 1, 2, 3, 4] as const;
// Vectors; the frame's one integer variable, 5, is not used.
const [LEFT, HIGH, CORNER, TO_LEFT, TO_HIGH, TO_CORNER, LEAST] = [6, 7, 8, 9, 10, 11, 12] as const;

const eightBytes = (local: number): Code => [...get(local), ...simd(0x5d, 0, 0)]; // v128.load64_zero
const eightWords = (local: number): Code => [...get(local), ...simd(0x02, 0, 0)]; // i16x8.load8x8_u
const zero = simd(0x0c, ...Array<number>(16).fill(0));
const storeEight = (value: Code): Code => [...get(TARGET), ...value, ...simd(0x5b, 0, 0, 0)]; // v128.store64_lane
const addBytes = simd(0x6e);
const addWords = simd(0x8e);
const subWords = simd(0x91);
const abs = simd(0x80);
const min = simd(0x96);
const equal = simd(0x2d);
const select = simd(0x52);

/** Pixel after pixel, each from the one before. */
const pixels = (...body: Code[]): Code => [
  ...zero,
  ...set(LEFT),
  ...zero,
  ...set(CORNER),
  ...repeat(
    SOURCE,
    get(END),
    ...body,
    advance(SOURCE, get(STEP)),
    advance(ABOVE, get(STEP)),
    advance(TARGET, get(STEP)),
  ),
  0x0b,
];

const sub = pixels([...eightBytes(SOURCE), ...get(LEFT), ...addBytes, ...set(LEFT)], storeEight(get(LEFT)));

/** Sixteen bytes at a time, whatever the pixels. */
const up: Code = [
  ...repeat(
    SOURCE,
    get(END),
    [
      ...get(TARGET),
      ...get(SOURCE),
      ...simd(0, 0, 0),
      ...get(ABOVE),
      ...simd(0, 0, 0),
      ...addBytes,
      ...simd(0x0b, 0, 0),
    ],
    ...[SOURCE, ABOVE, TARGET].map((local) => advance(local, constant(16))),
  ),
  0x0b,
];

/** The instruction's average rounds up: less 1 where the sum is odd. */
const average = pixels(
  [...eightBytes(ABOVE), ...set(HIGH)],
  [...get(LEFT), ...get(HIGH), ...simd(0x7b)], // i8x16.avgr_u
  [...get(LEFT), ...get(HIGH), ...simd(0x51), ...constant(1), ...simd(0x0f), ...simd(0x4e), ...simd(0x71)],
  [...eightBytes(SOURCE), ...addBytes, ...set(LEFT)],
  storeEight(get(LEFT)),
);

const paeth = pixels(
  [...eightWords(ABOVE), ...set(HIGH)],
  // Distances of left + high - corner to each of the three.
  [...get(HIGH), ...get(CORNER), ...subWords, ...set(TO_LEFT)],
  [...get(LEFT), ...get(CORNER), ...subWords, ...set(TO_HIGH)],
  [...get(TO_LEFT), ...get(TO_HIGH), ...addWords, ...abs, ...set(TO_CORNER)],
  [...get(TO_LEFT), ...abs, ...set(TO_LEFT), ...get(TO_HIGH), ...abs, ...set(TO_HIGH)],
  [...get(TO_LEFT), ...get(TO_HIGH), ...min, ...get(TO_CORNER), ...min, ...set(LEAST)],
  get(LEFT),
  [...get(HIGH), ...get(CORNER), ...get(TO_HIGH), ...get(LEAST), ...equal, ...select],
  [...get(TO_LEFT), ...get(LEAST), ...equal, ...select],
  [...eightWords(SOURCE), ...addWords],
  [...constant(255), ...simd(0x10), ...simd(0x4e), ...set(LEFT)],
  [...get(HIGH), ...set(CORNER)],
  storeEight([...get(LEFT), ...get(LEFT), ...simd(0x66)]), // i8x16.narrow_i16x8_u
);

let instance: FilterModule | null | undefined;

/** Bytes of rows in memory at a time: they stay in the processor's cache. */
const BAND = 2 ** 18;
const SLACK = 64;
const align = (at: number): number => (at + 15) & ~15;

/** Undoes the filters of `height` rows of `line` bytes into `out`; false where it cannot run and nothing was done. */
export function unfilterFast(
  raw: Uint8Array,
  from: number,
  height: number,
  line: number,
  pixelBytes: number,
  out: Uint8Array,
): boolean {
  if (instance === undefined) {
    instance = instantiate<FilterModule>({ parameters: 5, integers: 1, vectors: 7 }, { sub, up, average, paeth });
  }
  if (instance === null || pixelBytes > 8 || line > 64 * BAND) return false;
  const { memory } = instance;
  const band = Math.max(1, Math.floor(BAND / line));
  const source = align(line + SLACK);
  const target = align(source + band * (line + 1) + SLACK);
  const missing = target + band * line + SLACK - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65_536));
  const bytes = new Uint8Array(memory.buffer);
  const filters = [undefined, instance.sub, instance.up, instance.average, instance.paeth];
  // The row above the first one, at 0, is all zeros.
  bytes.fill(0, 0, line);
  for (let y = 0; y < height; y += band) {
    const rows = Math.min(band, height - y);
    const start = from + y * (line + 1);
    bytes.set(raw.subarray(start, start + rows * (line + 1)), source);
    for (let k = 0; k < rows; k++) {
      const row = source + k * (line + 1);
      const to = target + k * line;
      const filter = filters[bytes[row]!];
      if (filter) filter(row + 1, k === 0 ? 0 : to - line, to, row + 1 + line, pixelBytes);
      else bytes.copyWithin(to, row + 1, row + 1 + line);
    }
    out.set(bytes.subarray(target, target + rows * line), y * line);
    bytes.copyWithin(0, target + (rows - 1) * line, target + rows * line);
  }
  return true;
}
