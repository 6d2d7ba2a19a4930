import { crc32 } from "../crc32.ts";
import { checkImage, type Image } from "../image.ts";
import { builtin } from "../platform.ts";

/** PNG's colour type by channels. */
const COLOR_TYPE = { 1: 0, 3: 2, 4: 6 } as const;

/** Encodes an image as PNG, 8 bits a channel, losslessly. */
export async function encodePng(image: Image): Promise<Uint8Array<ArrayBuffer>> {
  checkImage(image, "encodePng");
  const { width, height, channels } = image;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, COLOR_TYPE[channels]], 8);
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  const data = await deflate(filteredRows(image));
  const parts = [
    Uint8Array.from(signature),
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", new Uint8Array(0)),
  ];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Rows with the filter "up" (2), after a first row as it is: cheap, and good for flat drawings and photos alike. */
function filteredRows({ width, height, channels, data }: Image): Uint8Array {
  const line = width * channels;
  const out = new Uint8Array((line + 1) * height);
  for (let y = 0; y < height; y++) {
    const to = y * (line + 1) + 1;
    const from = y * line;
    out[to - 1] = y === 0 ? 0 : 2;
    for (let i = 0; i < line; i++) out[to + i] = y === 0 ? data[from + i]! : data[from + i]! - data[from + i - line]!;
  }
  return out;
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc32(out.subarray(4, 8 + body.length)));
  return out;
}

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const zlib = builtin("node:zlib");
  if (zlib !== undefined) {
    return new Promise((resolve, reject) =>
      zlib.deflate(bytes, (error, out) => (error ? reject(error) : resolve(out))),
    );
  }
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
