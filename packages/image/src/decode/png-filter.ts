import { decodeError } from "./errors.ts";

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
    const source = from + y * (line + 1);
    const kind = raw[source]!;
    const to = y * line;
    const row = raw.subarray(source + 1, source + 1 + line);
    if (kind === 0) out.set(row, to);
    else if (kind === 1) sub(row, out, to, line, pixelBytes);
    else if (kind === 2) up(row, out, to, line, y);
    else if (kind === 3) average(row, out, to, line, pixelBytes, y);
    else if (kind === 4) paeth(row, out, to, line, pixelBytes, y);
    else {
      throw decodeError("IM_CORRUPT", {
        what: `the PNG is damaged: row ${y} has filter ${kind}, there are 0 to 4`,
        where,
        hint: "download or copy the file again",
      });
    }
  }
  return out;
}

function sub(row: Uint8Array, out: Uint8Array, to: number, line: number, step: number): void {
  for (let i = 0; i < line; i++) out[to + i] = row[i]! + (i >= step ? out[to + i - step]! : 0);
}

function up(row: Uint8Array, out: Uint8Array, to: number, line: number, y: number): void {
  if (y === 0) out.set(row, to);
  else for (let i = 0; i < line; i++) out[to + i] = row[i]! + out[to + i - line]!;
}

function average(row: Uint8Array, out: Uint8Array, to: number, line: number, step: number, y: number): void {
  for (let i = 0; i < line; i++) {
    const left = i >= step ? out[to + i - step]! : 0;
    const above = y > 0 ? out[to + i - line]! : 0;
    out[to + i] = row[i]! + ((left + above) >> 1);
  }
}

function paeth(row: Uint8Array, out: Uint8Array, to: number, line: number, step: number, y: number): void {
  for (let i = 0; i < line; i++) {
    const left = i >= step ? out[to + i - step]! : 0;
    const above = y > 0 ? out[to + i - line]! : 0;
    const corner = i >= step && y > 0 ? out[to + i - line - step]! : 0;
    const estimate = left + above - corner;
    const a = Math.abs(estimate - left);
    const b = Math.abs(estimate - above);
    const c = Math.abs(estimate - corner);
    out[to + i] = row[i]! + (a <= b && a <= c ? left : b <= c ? above : corner);
  }
}
