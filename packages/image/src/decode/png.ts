import { crc32 } from "../crc32.ts";
import { viewOf } from "../formats/header.ts";
import { latin1 } from "../formats/sniff.ts";
import { decodeError } from "./errors.ts";
import { inflate } from "./inflate.ts";
import { adam7, unfilter } from "./png-filter.ts";
import type { Raster } from "./raster.ts";

type PngHeader = { width: number; height: number; bits: number; color: number; interlaced: boolean };

/** Samples in a pixel by PNG's colour type: grey, RGB, palette, grey and alpha, RGBA. */
const SAMPLES: Record<number, { samples: number; bits: readonly number[] }> = {
  0: { samples: 1, bits: [1, 2, 4, 8, 16] },
  2: { samples: 3, bits: [8, 16] },
  3: { samples: 1, bits: [1, 2, 4, 8] },
  4: { samples: 2, bits: [8, 16] },
  6: { samples: 4, bits: [8, 16] },
};

/**
 * Decodes a PNG (ISO/IEC 15948): all colour types, 1 to 16 bits, palettes, transparency, interlacing. Done here, not
 * by the platform, so that 16-bit values, alpha and colour profiles come out the same everywhere.
 * Checksums are verified; text and profile chunks are never inflated.
 */
export async function decodePng(bytes: Uint8Array, where: string, partial: boolean): Promise<Raster> {
  const chunks = readChunks(bytes, where);
  const { header } = chunks;
  const { samples } = SAMPLES[header.color]!;
  const passes = header.interlaced ? adam7(header.width, header.height) : [whole(header)];
  const lineBytes = (width: number): number => Math.ceil((width * samples * header.bits) / 8);
  const expected = passes.reduce((sum, pass) => sum + pass.height * (1 + lineBytes(pass.width)), 0);
  const flat = await inflate(chunks.data, expected, where);
  if (flat.length < expected && !partial) {
    const rows = header.interlaced ? undefined : Math.floor(flat.length / (1 + lineBytes(header.width)));
    throw decodeError("IM_TRUNCATED", {
      what: `the PNG ends early: ${rows ?? "some"} of ${header.height} rows are there`,
      where,
      hint: "download or copy the file again, or pass { partial: true } to get what there is",
      details: { rows, height: header.height },
    });
  }
  const raw = flat.length < expected ? extended(flat, expected) : flat;
  const pixelBytes = Math.max(1, (samples * header.bits) >> 3);
  if (header.bits === 8 && !header.interlaced) {
    return colors(unfilter(raw, 0, header.height, lineBytes(header.width), pixelBytes, where), header, samples, chunks);
  }
  const values = new (header.bits === 16 ? Uint16Array : Uint8Array)(header.width * header.height * samples);
  let at = 0;
  for (const pass of passes) {
    const line = lineBytes(pass.width);
    const rows = unfilter(raw, at, pass.height, line, pixelBytes, where);
    at += pass.height * (1 + line);
    spread(rows, line, pass, header, samples, values);
  }
  return colors(values, header, samples, chunks);
}

type Pass = ReturnType<typeof adam7>[number];

function whole({ width, height }: PngHeader): Pass {
  return { width, height, left: 0, top: 0, stepX: 1, stepY: 1 };
}

function extended(flat: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(flat);
  return out;
}

type Chunks = { header: PngHeader; data: Uint8Array[]; palette?: Uint8Array; transparency?: Uint8Array };

function readChunks(bytes: Uint8Array, where: string): Chunks {
  const view = viewOf(bytes);
  let header: PngHeader | undefined;
  const found: Omit<Chunks, "header"> = { data: [] };
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = latin1(bytes, at + 4, at + 8);
    const end = at + 8 + length;
    const body = bytes.subarray(at + 8, end);
    if (!/^[A-Za-z]{4}$/.test(type)) throw corrupt(where, `a chunk at byte ${at} has no valid name`);
    if (end + 4 <= bytes.length && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw corrupt(where, `the checksum of chunk ${type} at byte ${at} is wrong`, { chunk: type, at });
    }
    if (header === undefined) header = readHeader(type, body, where);
    else if (type === "PLTE") found.palette = body;
    else if (type === "tRNS") found.transparency = body;
    else if (type === "IDAT") found.data.push(body);
    else if (type === "IEND") break;
    else if (/^[A-Z]/.test(type)) throw corrupt(where, `chunk ${type} is required and not known`, { chunk: type });
    at = end + 4;
  }
  if (header === undefined) throw corrupt(where, "there is no IHDR chunk");
  if (header.color === 3 && found.palette === undefined) throw corrupt(where, "the palette is missing");
  if (found.data.length === 0) throw corrupt(where, "there is no picture data (IDAT)");
  return { header, ...found };
}

function readHeader(type: string, body: Uint8Array, where: string): PngHeader {
  if (type !== "IHDR" || body.length < 13) throw corrupt(where, "the first chunk is not a whole IHDR");
  const view = viewOf(body);
  const [bits, color, compression, filter, interlace] = body.subarray(8, 13) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (!SAMPLES[color]?.bits.includes(bits))
    throw corrupt(where, `colour type ${color} with ${bits} bits does not exist`);
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw corrupt(where, "unknown compression, filter or interlace method");
  return { width: view.getUint32(0), height: view.getUint32(4), bits, color, interlaced: interlace === 1 };
}

/** Unpacks the rows of one pass to one value a sample, at their place in the whole picture. */
function spread(
  rows: Uint8Array,
  line: number,
  pass: Pass,
  { width, bits }: PngHeader,
  samples: number,
  values: Uint8Array | Uint16Array,
): void {
  const mask = 2 ** bits - 1;
  const perLine = pass.width * samples;
  for (let y = 0; y < pass.height; y++) {
    const rowStart = (pass.top + y * pass.stepY) * width;
    for (let i = 0; i < perLine; i++) {
      const x = Math.floor(i / samples);
      const to = (rowStart + pass.left + x * pass.stepX) * samples + (i % samples);
      const from = y * line;
      if (bits === 8) values[to] = rows[from + i]!;
      else if (bits === 16) values[to] = (rows[from + 2 * i]! << 8) | rows[from + 2 * i + 1]!;
      else values[to] = (rows[from + ((i * bits) >> 3)]! >> (8 - bits - ((i * bits) & 7))) & mask;
    }
  }
}

/** Palette and transparency resolved, values of fewer than 8 bits scaled to 0..255. */
function colors(values: Uint8Array | Uint16Array, header: PngHeader, samples: number, chunks: Chunks): Raster {
  const { width, height, bits, color } = header;
  const pixels = width * height;
  const { palette, transparency } = chunks;
  if (color === 3) {
    const channels = transparency ? 4 : 3;
    const data = new Uint8Array(pixels * channels);
    for (let i = 0; i < pixels; i++) {
      const index = values[i]!;
      // An index past the palette is black, as in libpng.
      for (let c = 0; c < 3; c++) data[i * channels + c] = palette![index * 3 + c] ?? 0;
      if (channels === 4) data[i * 4 + 3] = transparency![index] ?? 255;
    }
    return { width, height, channels, data };
  }
  const opaque = bits === 16 ? 65_535 : 255;
  const key =
    transparency && color !== 4 && color !== 6 && transparency.length >= samples * 2 ? transparency : undefined;
  const scale = bits < 8 ? 255 / (2 ** bits - 1) : 1;
  if (key === undefined) {
    if (scale !== 1) for (let i = 0; i < values.length; i++) values[i] = values[i]! * scale;
    return { width, height, channels: samples as 1 | 2 | 3 | 4, data: values };
  }
  const channels = samples + 1;
  const data = new (bits === 16 ? Uint16Array : Uint8Array)(pixels * channels);
  const transparent = Array.from(
    { length: samples },
    (_, c) => ((key[2 * c]! << 8) | key[2 * c + 1]!) & (2 ** bits - 1),
  );
  for (let i = 0; i < pixels; i++) {
    let match = true;
    for (let c = 0; c < samples; c++) {
      const value = values[i * samples + c]!;
      match &&= value === transparent[c];
      data[i * channels + c] = value * scale;
    }
    data[i * channels + samples] = match ? 0 : opaque;
  }
  return { width, height, channels: channels as 2 | 4, data, keyed: true };
}

function corrupt(where: string, what: string, details?: Record<string, unknown>): Error {
  return decodeError("IM_CORRUPT", {
    what: `the PNG is damaged: ${what}`,
    where,
    hint: "download or copy the file again",
    ...(details && { details }),
  });
}
