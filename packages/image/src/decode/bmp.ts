import { viewOf } from "../formats/header.ts";
import { decodeError } from "./errors.ts";
import type { Raster } from "./raster.ts";

const RGB = 0;
const RLE8 = 1;
const RLE4 = 2;
const BITFIELDS = 3;
const ALPHA_BITFIELDS = 6;

/**
 * Decodes a BMP: 1, 2, 4, 8, 16, 24 and 32 bits, run-length coding, colour masks, OS/2 headers, either row order.
 * Channels of fewer than 8 bits are scaled to 0..255 rounding down, as Pillow does.
 */
export function decodeBmp(bytes: Uint8Array, where: string, partial: boolean): Raster {
  const view = viewOf(bytes);
  const headerSize = view.getUint32(14, true);
  const core = headerSize === 12;
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true);
  const signedHeight = core ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(core ? 24 : 28, true);
  const compression = core ? RGB : view.getUint32(30, true);
  const height = Math.abs(signedHeight);
  const offset = view.getUint32(10, true);
  const rowOf = (line: number): number => (signedHeight > 0 ? height - 1 - line : line);
  const picture = { bytes, view, where, width, height, bits, offset, rowOf, partial };

  if (bits <= 8 && [1, 2, 4, 8].includes(bits)) {
    const entry = core ? 3 : 4;
    const used = core ? 0 : view.getUint32(46, true);
    const count = used > 0 && used <= 2 ** bits ? used : 2 ** bits;
    const start = 14 + headerSize;
    // Some writers forget the palette when they say where the pixels start.
    if (offset <= start) picture.offset = start + count * entry;
    const palette = bytes.subarray(start, Math.min(start + count * entry, picture.offset));
    if (compression === RGB) return paint(picture, plainIndices(picture), palette, entry);
    if ((compression === RLE8 && bits === 8) || (compression === RLE4 && bits === 4)) {
      return paint(picture, runLengthIndices(picture), palette, entry);
    }
  }
  if (compression === RGB && (bits === 24 || bits === 32)) return direct(picture);
  if (compression === RGB && bits === 16) return masked(picture, [0x7c00, 0x3e0, 0x1f, 0]);
  if ((compression === BITFIELDS || compression === ALPHA_BITFIELDS) && (bits === 16 || bits === 32)) {
    const alpha = compression === ALPHA_BITFIELDS || headerSize >= 56 ? view.getUint32(66, true) : 0;
    return masked(picture, [view.getUint32(54, true), view.getUint32(58, true), view.getUint32(62, true), alpha]);
  }
  throw decodeError("IM_UNSUPPORTED", {
    what: `BMP with ${bits} bits and compression ${compression}`,
    where,
    hint: "convert the picture to PNG",
    details: { bits, compression },
  });
}

type Picture = {
  bytes: Uint8Array;
  view: DataView;
  where: string;
  width: number;
  height: number;
  bits: number;
  offset: number;
  rowOf: (line: number) => number;
  partial: boolean;
};

/** Where each line starts; throws when the file ends before the last. */
function lineStarts({ bytes, where, width, height, bits, offset, partial }: Picture): {
  stride: number;
  lines: number;
} {
  const stride = Math.ceil((width * bits) / 32) * 4;
  // The padding of the last line may be missing.
  const available = Math.max(0, Math.floor((bytes.length - offset + stride - Math.ceil((width * bits) / 8)) / stride));
  if (available < height && !partial) throw truncated(where, available, height);
  return { stride, lines: Math.min(available, height) };
}

function plainIndices(picture: Picture): Uint8Array {
  const { bytes, width, height, bits, offset, rowOf } = picture;
  const { stride, lines } = lineStarts(picture);
  const indices = new Uint8Array(width * height);
  const mask = 2 ** bits - 1;
  for (let line = 0; line < lines; line++) {
    for (let x = 0; x < width; x++) {
      const byte = bytes[offset + line * stride + ((x * bits) >> 3)]!;
      indices[rowOf(line) * width + x] = (byte >> (8 - bits - ((x * bits) & 7))) & mask;
    }
  }
  return indices;
}

function runLengthIndices({ bytes, where, width, height, bits, offset, rowOf, partial }: Picture): Uint8Array {
  const indices = new Uint8Array(width * height);
  let x = 0;
  let line = 0;
  let at = offset;
  const put = (value: number): void => {
    if (x < width && line < height) indices[rowOf(line) * width + x] = value;
    x++;
  };
  const nibble = (byte: number, i: number): number => (bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15);
  while (line < height) {
    if (at + 2 > bytes.length) {
      if (partial) break;
      throw truncated(where, line, height);
    }
    const count = bytes[at]!;
    const value = bytes[at + 1]!;
    at += 2;
    if (count > 0) {
      for (let i = 0; i < count; i++) put(nibble(value, i));
    } else if (value === 0) {
      x = 0;
      line++;
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      x += bytes[at] ?? 0;
      line += bytes[at + 1] ?? 0;
      at += 2;
    } else {
      for (let i = 0; i < value; i++) put(nibble(bytes[at + (bits === 8 ? i : i >> 1)] ?? 0, i));
      const length = bits === 8 ? value : (value + 1) >> 1;
      at += length + (length & 1);
    }
  }
  return indices;
}

function paint({ width, height }: Picture, indices: Uint8Array, palette: Uint8Array, entry: number): Raster {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < indices.length; i++) {
    const color = indices[i]! * entry;
    data[i * 3] = palette[color + 2] ?? 0;
    data[i * 3 + 1] = palette[color + 1] ?? 0;
    data[i * 3 + 2] = palette[color] ?? 0;
  }
  return { width, height, channels: 3, data };
}

function direct(picture: Picture): Raster {
  const { bytes, width, height, bits, offset, rowOf } = picture;
  const { stride, lines } = lineStarts(picture);
  const data = new Uint8Array(width * height * 3);
  for (let line = 0; line < lines; line++) {
    let to = rowOf(line) * width * 3;
    for (let x = 0; x < width; x++, to += 3) {
      const from = offset + line * stride + x * (bits / 8);
      data[to] = bytes[from + 2]!;
      data[to + 1] = bytes[from + 1]!;
      data[to + 2] = bytes[from]!;
    }
  }
  return { width, height, channels: 3, data };
}

function masked(picture: Picture, masks: readonly number[]): Raster {
  const { view, width, height, bits, offset, rowOf } = picture;
  const { stride, lines } = lineStarts(picture);
  const channels = masks[3] === 0 ? 3 : 4;
  const fields = masks.slice(0, channels).map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { shift, most: mask >>> shift };
  });
  const data = new Uint8Array(width * height * channels);
  for (let line = 0; line < lines; line++) {
    let to = rowOf(line) * width * channels;
    for (let x = 0; x < width; x++) {
      const from = offset + line * stride + x * (bits / 8);
      const value = bits === 16 ? view.getUint16(from, true) : view.getUint32(from, true);
      for (const { shift, most } of fields) {
        data[to++] = most === 0 ? 0 : Math.floor((((value >>> shift) & most) >>> 0) * (255 / most) + 1e-9);
      }
    }
  }
  return { width, height, channels, data };
}

function truncated(where: string, rows: number, height: number): Error {
  return decodeError("IM_TRUNCATED", {
    what: `the BMP ends early: ${rows} of ${height} rows are there`,
    where,
    hint: "download or copy the file again, or pass { partial: true } to get what there is",
    details: { rows, height },
  });
}
