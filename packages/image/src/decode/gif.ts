import { viewOf } from "../formats/header.ts";
import { decodeError } from "./errors.ts";
import type { Raster } from "./raster.ts";

/**
 * Decodes the first frame of a GIF (GIF89a), composed on its screen. Done here, like PNG, so that the colour under a
 * transparent pixel is the palette's on every platform: it shows when alpha is dropped.
 */
export function decodeGif(bytes: Uint8Array, where: string, partial: boolean): Raster {
  const view = viewOf(bytes);
  const width = view.getUint16(6, true);
  const height = view.getUint16(8, true);
  const flags = view.getUint8(10);
  let at = 13;
  let palette = bytes.subarray(0, 0);
  if (flags & 0x80) {
    palette = bytes.subarray(at, at + 3 * 2 ** ((flags & 7) + 1));
    at += palette.length;
  }
  const backdrop = view.getUint8(11);
  let transparent = -1;
  while (view.getUint8(at) === 0x21) {
    if (view.getUint8(at + 1) === 0xf9) transparent = view.getUint8(at + 3) & 1 ? view.getUint8(at + 6) : -1;
    at += 2;
    while (view.getUint8(at) !== 0) at += view.getUint8(at) + 1;
    at++;
  }
  if (view.getUint8(at) !== 0x2c) throw corrupt(where, "there is no frame");
  const frame = readFrame(view, at);
  at += 10;
  if (frame.localColors > 0) {
    palette = bytes.subarray(at, at + frame.localColors * 3);
    at += palette.length;
  }
  // The standard leaves colours without a palette open; decoders take them for levels of grey.
  if (palette.length === 0) palette = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  const indices = expand(bytes, at, frame.width * frame.height, where, partial, frame);
  return compose(indices, frame, palette, { width, height, transparent, backdrop });
}

type Frame = { left: number; top: number; width: number; height: number; interlaced: boolean; localColors: number };

function readFrame(view: DataView, at: number): Frame {
  const flags = view.getUint8(at + 9);
  return {
    left: view.getUint16(at + 1, true),
    top: view.getUint16(at + 3, true),
    width: view.getUint16(at + 5, true),
    height: view.getUint16(at + 7, true),
    interlaced: (flags & 0x40) !== 0,
    localColors: flags & 0x80 ? 2 ** ((flags & 7) + 1) : 0,
  };
}

/** LZW with codes of growing width, in sub-blocks of at most 255 bytes. */
function expand(
  bytes: Uint8Array,
  start: number,
  length: number,
  where: string,
  partial: boolean,
  frame: Frame,
): Uint8Array {
  const minimum = viewOf(bytes).getUint8(start);
  if (minimum < 1 || minimum > 11) throw corrupt(where, `codes of ${minimum} bits do not exist`);
  const clear = 1 << minimum;
  const prefix = new Uint16Array(4096);
  const suffix = new Uint8Array(4096);
  const lengths = new Uint16Array(4096);
  for (let i = 0; i < clear; i++) {
    suffix[i] = i;
    lengths[i] = 1;
  }
  const out = new Uint8Array(length);
  let filled = 0;
  let next = clear + 2;
  let width = minimum + 1;
  let previous = -1;
  const codes = codeReader(bytes, start + 1);
  const firstOf = (code: number): number => {
    let c = code;
    while (lengths[c]! > 1) c = prefix[c]!;
    return suffix[c]!;
  };
  while (filled < length) {
    const code = codes(width);
    if (code < 0 || code === clear + 1) break;
    if (code === clear) {
      next = clear + 2;
      width = minimum + 1;
      previous = -1;
      continue;
    }
    if (code > next || (code === next && previous < 0) || (code >= clear && code < clear + 2)) {
      if (partial) break;
      throw corrupt(where, `code ${code} was never defined`);
    }
    if (previous >= 0 && next < 4096) {
      prefix[next] = previous;
      suffix[next] = firstOf(code === next ? previous : code);
      lengths[next] = lengths[previous]! + 1;
      next++;
      if (next === 1 << width && width < 12) width++;
    }
    const end = filled + lengths[code]!;
    for (let i = end - 1, c = code; i >= filled; i--, c = prefix[c]!) if (i < length) out[i] = suffix[c]!;
    filled = end;
    previous = code;
  }
  if (filled < length && !partial) {
    const rows = Math.floor(filled / Math.max(1, frame.width));
    throw decodeError("IM_TRUNCATED", {
      what: `the GIF ends early: ${rows} of ${frame.height} rows are there`,
      where,
      hint: "download or copy the file again, or pass { partial: true } to get what there is",
      details: { rows, height: frame.height },
    });
  }
  return out;
}

/** Reads codes of up to 12 bits, low bits first; -1 at the end of the blocks. */
function codeReader(bytes: Uint8Array, start: number): (width: number) => number {
  let at = start;
  let left = 0;
  let buffer = 0;
  let bits = 0;
  return (width) => {
    while (bits < width) {
      if (left === 0) {
        left = bytes[at++] ?? 0;
        if (left === 0) return -1;
      }
      if (at >= bytes.length) return -1;
      buffer |= bytes[at++]! << bits;
      bits += 8;
      left--;
    }
    const code = buffer & ((1 << width) - 1);
    buffer >>>= width;
    bits -= width;
    return code;
  };
}

type Screen = { width: number; height: number; transparent: number; backdrop: number };

function compose(indices: Uint8Array, frame: Frame, palette: Uint8Array, screen: Screen): Raster {
  const width = Math.max(screen.width, frame.left + frame.width);
  const height = Math.max(screen.height, frame.top + frame.height);
  const data = new Uint8Array(width * height * 4);
  const whole = frame.width === width && frame.height === height;
  // What no frame covers is transparent, in the transparent or else the background colour.
  if (!whole) {
    const color = screen.transparent >= 0 ? screen.transparent : screen.backdrop;
    for (let i = 0; i < data.length; i += 4) paint(data, i, palette, color, 0);
  }
  for (let line = 0; line < frame.height; line++) {
    const y = frame.interlaced ? interlacedRow(line, frame.height) : line;
    for (let x = 0; x < frame.width; x++) {
      const index = indices[line * frame.width + x]!;
      const to = ((frame.top + y) * width + frame.left + x) * 4;
      paint(data, to, palette, index, index === screen.transparent ? 0 : 255);
    }
  }
  return { width, height, channels: 4, data };
}

function paint(data: Uint8Array, at: number, palette: Uint8Array, index: number, alpha: number): void {
  for (let c = 0; c < 3; c++) data[at + c] = palette[index * 3 + c] ?? 0;
  data[at + 3] = alpha;
}

/** Interlaced lines come as every eighth, the eighths between, the fourths between, the others. */
function interlacedRow(line: number, height: number): number {
  let rest = line;
  for (const [first, step] of [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ] as const) {
    const count = Math.max(0, Math.ceil((height - first) / step));
    if (rest < count) return first + rest * step;
    rest -= count;
  }
  return line;
}

function corrupt(where: string, what: string): Error {
  return decodeError("IM_CORRUPT", {
    what: `the GIF is damaged: ${what}`,
    where,
    hint: "download or copy the file again",
  });
}
