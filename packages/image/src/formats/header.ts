import { decodeError } from "../decode/errors.ts";
import { exifOrientation, type Orientation } from "./exif.ts";
import { parseJpegHeader } from "./jpeg-header.ts";
import { type ImageFormat, latin1 } from "./sniff.ts";

/** What a file says about itself before a single pixel is decoded. */
export type Header = {
  width: number;
  height: number;
  /** Frames of an animation. */
  frames: number;
  /** EXIF orientation, "corrupt" when it cannot be read. */
  orientation?: Orientation | "corrupt" | undefined;
  /** Passes of a progressive JPEG. */
  scans?: number;
  /** Why no decoder should try: a rare variant of the format. */
  unsupported?: string;
  /** The file ends before its format says it may. */
  truncated?: boolean;
};

/** Reads sizes and counts from a file's header; throws `IM_TRUNCATED` or `IM_CORRUPT` when it is not whole. */
export function parseHeader(bytes: Uint8Array, format: Exclude<ImageFormat, "svg">, where: string): Header {
  const parsers = { png, jpeg: parseJpegHeader, gif, webp, avif, bmp };
  return withinHeader(bytes, format, where, () => parsers[format](bytes, where));
}

/** Reads through DataViews show a header that ends too early as a RangeError: it becomes `IM_TRUNCATED`. */
export function withinHeader<T>(bytes: Uint8Array, format: ImageFormat, where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw decodeError("IM_TRUNCATED", {
      what: `the ${format.toUpperCase()} file ends inside its header, after ${bytes.length} bytes`,
      where,
      hint: "download or copy the file again",
      details: { format, bytes: bytes.length },
    });
  }
}

/** A view of all bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function png(bytes: Uint8Array, where: string): Header {
  const view = viewOf(bytes);
  if (latin1(bytes, 12, 16) !== "IHDR" && bytes.length >= 16) {
    throw decodeError("IM_CORRUPT", {
      what: "the PNG does not begin with an IHDR chunk",
      where,
      hint: "it is damaged",
    });
  }
  const header: Header = { width: view.getUint32(16), height: view.getUint32(20), frames: 1 };
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = latin1(bytes, at + 4, at + 8);
    if (type === "acTL" && length >= 4) header.frames = view.getUint32(at + 8);
    if (type === "eXIf") header.orientation = exifOrientation(bytes, at + 8, at + 8 + length);
    if (type === "IDAT" && header.frames > 1 && header.orientation) break;
    at += 12 + length;
  }
  return header;
}

function gif(bytes: Uint8Array): Header {
  const view = viewOf(bytes);
  const header: Header = { width: view.getUint16(6, true), height: view.getUint16(8, true), frames: 0 };
  const packed = view.getUint8(10);
  let at = 13 + (packed & 0x80 ? 3 * 2 ** ((packed & 7) + 1) : 0);
  const skipBlocks = (): void => {
    while (at < bytes.length && bytes[at] !== 0) at += bytes[at]! + 1;
    at++;
  };
  while (at < bytes.length) {
    const kind = bytes[at];
    if (kind === 0x2c && at + 10 <= bytes.length) {
      header.frames++;
      // The first frame may reach outside the screen, which then grows.
      if (header.frames === 1) {
        header.width = Math.max(header.width, view.getUint16(at + 1, true) + view.getUint16(at + 5, true));
        header.height = Math.max(header.height, view.getUint16(at + 3, true) + view.getUint16(at + 7, true));
      }
      const flags = bytes[at + 9]!;
      at += 11 + (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
      skipBlocks();
    } else if (kind === 0x21) {
      at += 2;
      skipBlocks();
    } else break;
  }
  header.truncated = bytes[at] !== 0x3b;
  return header;
}

function webp(bytes: Uint8Array, where: string): Header {
  const view = viewOf(bytes);
  const header: Header = { width: 0, height: 0, frames: 1 };
  let animated = 0;
  const u24 = (at: number): number => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const type = latin1(bytes, at, at + 4);
    const length = view.getUint32(at + 4, true);
    const body = at + 8;
    if (type === "VP8X") {
      header.width = u24(body + 4) + 1;
      header.height = u24(body + 7) + 1;
    } else if (type === "VP8 " && header.width === 0) {
      header.width = view.getUint16(body + 6, true) & 0x3fff;
      header.height = view.getUint16(body + 8, true) & 0x3fff;
    } else if (type === "VP8L" && header.width === 0) {
      const sizes = view.getUint32(body + 1, true);
      header.width = (sizes & 0x3fff) + 1;
      header.height = ((sizes >>> 14) & 0x3fff) + 1;
    } else if (type === "ANMF") animated++;
    else if (type === "EXIF") {
      // Some writers keep JPEG's "Exif\0\0" in front.
      const skip = latin1(bytes, body, body + 4) === "Exif" ? 6 : 0;
      header.orientation = exifOrientation(bytes, body + skip, body + length);
    }
    if (body + length > bytes.length) header.truncated = true;
    at = body + length + (length & 1);
  }
  if (header.width === 0) {
    throw decodeError("IM_TRUNCATED", { what: "the WebP file holds no picture", where, hint: "download it again" });
  }
  header.frames = Math.max(1, animated);
  return header;
}

/** Sizes from the `ispe` properties (ISO/IEC 23008-12); the largest is the picture, others are tiles or thumbnails. */
function avif(bytes: Uint8Array, where: string): Header {
  const view = viewOf(bytes);
  const header: Header = { width: 0, height: 0, frames: 1 };
  const walk = (from: number, to: number, depth: number): void => {
    for (let at = from; at + 8 <= to; ) {
      let size = view.getUint32(at);
      const type = latin1(bytes, at + 4, at + 8);
      let body = at + 8;
      if (size === 1) {
        size = Number(view.getBigUint64(at + 8));
        body += 8;
      }
      const end = size === 0 ? to : at + size;
      if (end > bytes.length) header.truncated = true;
      if (end <= body) return;
      if (type === "meta" && depth < 4) walk(body + 4, Math.min(end, to), depth + 1);
      if ((type === "iprp" || type === "ipco") && depth < 4) walk(body, Math.min(end, to), depth + 1);
      if (type === "ispe") {
        const width = view.getUint32(body + 4);
        const height = view.getUint32(body + 8);
        if (width * height > header.width * header.height) Object.assign(header, { width, height });
      }
      at = end;
    }
  };
  walk(0, bytes.length, 0);
  if (header.width === 0) {
    throw decodeError("IM_CORRUPT", { what: "the AVIF file does not say its size", where, hint: "it is damaged" });
  }
  return header;
}

function bmp(bytes: Uint8Array): Header {
  const view = viewOf(bytes);
  const core = view.getUint32(14, true) === 12;
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true);
  const height = core ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true));
  return { width, height, frames: 1 };
}
