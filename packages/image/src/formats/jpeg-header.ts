import { decodeError } from "../decode/errors.ts";
import { exifOrientation } from "./exif.ts";
import type { Header } from "./header.ts";
import { latin1 } from "./sniff.ts";

/** Start-of-frame markers are C0 to CF but for C4 (Huffman tables), C8 (reserved) and CC (arithmetic tables). */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

/** Walks all markers of a JPEG, compressed data included: size, orientation, number of scans, and whether it ends. */
export function parseJpegHeader(bytes: Uint8Array, where: string): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const header: Header = { width: 0, height: 0, frames: 1, scans: 0, truncated: true };
  let at = 2;
  while (at < bytes.length) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) break;
    const marker = bytes[at + 1]!;
    // FF 00 is a data byte, FF FF padding, D0 to D7 restart markers, 01 temporary: none has a length.
    if (marker === 0 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
    } else if (marker === 0xff) {
      at += 1;
    } else if (marker === 0xd9) {
      header.truncated = false;
      break;
    } else {
      // Once the compressed data has begun, its end may be cut inside a marker.
      if (header.scans! > 0 && at + 4 > bytes.length) break;
      const length = view.getUint16(at + 2);
      if (isFrame(marker) && header.width === 0) frame(header, marker, view, at);
      if (marker === 0xda) header.scans!++;
      if (marker === 0xe1 && latin1(bytes, at + 4, at + 8) === "Exif" && header.orientation === undefined) {
        header.orientation = exifOrientation(bytes, at + 10, at + 2 + length);
      }
      at += 2 + length;
    }
  }
  if (header.width === 0 && header.unsupported === undefined) {
    throw decodeError("IM_TRUNCATED", {
      what: `the JPEG ends before its size, after ${bytes.length} bytes`,
      where,
      hint: "download or copy the file again",
      details: { format: "jpeg", bytes: bytes.length },
    });
  }
  return header;
}

function frame(header: Header, marker: number, view: DataView, at: number): void {
  header.height = view.getUint16(at + 5);
  header.width = view.getUint16(at + 7);
  const bits = view.getUint8(at + 4);
  if (bits !== 8) header.unsupported = `JPEG with ${bits} bits a channel`;
  else if (marker >= 0xc9) header.unsupported = "JPEG with arithmetic coding";
  else if (marker === 0xc3 || marker >= 0xc5) header.unsupported = "lossless or hierarchical JPEG";
}
