import { createHash } from "node:crypto";
import type { Image } from "../src/image.ts";

/** The same pixels as `source` in tools/reference/image.py: noise on a gradient. */
export function source(width: number, height: number, channels: 1 | 3 | 4, seed: number): Image {
  return { width, height, channels, data: sourceBytes(width, height, channels, seed) };
}

export function sourceBytes(width: number, height: number, channels: number, seed: number): Uint8Array {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    let x = (Math.imul(i, 2654435761) + seed * 40503) >>> 0;
    x ^= x >>> 15;
    x = Math.imul(x, 2246822519) >>> 0;
    const ramp = (Math.imul(Math.floor(i / channels), 7) >>> 3) & 255;
    data[i] = Math.floor(i / (channels * 11)) % 3 === 0 ? ramp : x >>> 24;
  }
  return data;
}

export function sha256(data: Uint8Array | Uint8ClampedArray | Float32Array): string {
  return createHash("sha256")
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest("hex");
}

/** The same bytes as a Buffer, which vitest prints short and `Buffer.compare` accepts. */
export function bytesOf(image: Image): Buffer {
  return Buffer.from(image.data.buffer, image.data.byteOffset, image.data.byteLength);
}
