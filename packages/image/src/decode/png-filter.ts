import { decodeError } from "./errors.ts";
import { unfilterFast } from "./png-filter-wasm.ts";

/** One of the seven sub-pictures of an interlaced PNG. */
export type Adam7Pass = { width: number; height: number; left: number; top: number; stepX: number; stepY: number };

const STARTS = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** The passes of PNG's interlacing; empty ones hold no data at all. */
export function adam7(width: number, height: number): Adam7Pass[] {
  return STARTS.map(([left, top, stepX, stepY]) => ({
    width: Math.max(0, Math.ceil((width - left) / stepX)),
    height: Math.max(0, Math.ceil((height - top) / stepY)),
    left,
    top,
    stepX,
    stepY,
  })).filter((pass) => pass.width > 0 && pass.height > 0);
}

/** Undoes PNG's row filters (none, sub, up, average, Paeth): `height` rows of `line` bytes, each after a filter byte. */
export function unfilter(
  raw: Uint8Array,
  from: number,
  height: number,
  line: number,
  pixelBytes: number,
  where: string,
): Uint8Array {
  const out = new Uint8Array(height * line);
  for (let y = 0; y < height; y++) {
    const kind = raw[from + y * (line + 1)]!;
    if (kind <= 4) continue;
    throw decodeError("IM_CORRUPT", {
      what: `the PNG is damaged: row ${y} has filter ${kind}, there are 0 to 4`,
      where,
      hint: "download or copy the file again",
    });
  }
  if (!unfilterFast(raw, from, height, line, pixelBytes, out)) unfilterRows(raw, from, height, line, pixelBytes, out);
  return out;
}

/** The same in JavaScript. */
export function unfilterRows(
  raw: Uint8Array,
  from: number,
  height: number,
  line: number,
  pixelBytes: number,
  out: Uint8Array,
): void {
  // Above the first row and left of the first pixel all bytes count as 0.
  let above: Uint8Array = new Uint8Array(line);
  for (let y = 0; y < height; y++) {
    const source = from + y * (line + 1);
    const kind = raw[source]!;
    const row = raw.subarray(source + 1, source + 1 + line);
    const to = out.subarray(y * line, (y + 1) * line);
    FILTERS[kind]!(row, above, to, Math.min(pixelBytes, line));
    above = to;
  }
}

type RowFilter = (row: Uint8Array, above: Uint8Array, to: Uint8Array, step: number) => void;

const none: RowFilter = (row, _, to) => to.set(row);

// Sub, average and Paeth go through one channel at a time, so that the pixel to the left stays in a register.
const sub: RowFilter = (row, _, to, step) => {
  const length = to.length;
  for (let c = 0; c < step; c++) {
    let left = 0;
    for (let i = c; i < length; i += step) {
      left = (row[i]! + left) & 255;
      to[i] = left;
    }
  }
};

const up: RowFilter = (row, above, to) => {
  for (let i = 0; i < to.length; i++) to[i] = row[i]! + above[i]!;
};

const average: RowFilter = (row, above, to, step) => {
  const length = to.length;
  for (let c = 0; c < step; c++) {
    let left = 0;
    for (let i = c; i < length; i += step) {
      left = (row[i]! + ((left + above[i]!) >> 1)) & 255;
      to[i] = left;
    }
  }
};

/**
 * Predicts by whichever of left, above and corner is nearest to left + above - corner. Without branches: photographs
 * decide it at random, and a wrongly predicted branch costs more than the whole sum.
 */
const paeth: RowFilter = (row, above, to, step) => {
  for (let i = 0; i < step; i++) to[i] = row[i]! + above[i]!;
  const length = to.length;
  for (let c = 0; c < step; c++) {
    let left = to[c]!;
    let corner = above[c]!;
    for (let i = c + step; i < length; i += step) {
      const high = above[i]!;
      // The three distances, with the estimate cancelled out.
      const toLeft = Math.abs(high - corner);
      const toHigh = Math.abs(left - corner);
      const toCorner = Math.abs(left + high - 2 * corner);
      // Masks of all ones where the comparison holds.
      const other = ((toHigh - toLeft) | (toCorner - toLeft)) >> 31;
      const cornerWins = (toCorner - toHigh) >> 31;
      const second = high + ((corner - high) & cornerWins);
      left = (row[i]! + left + ((second - left) & other)) & 255;
      corner = high;
      to[i] = left;
    }
  }
};

const FILTERS: readonly RowFilter[] = [none, sub, up, average, paeth];
