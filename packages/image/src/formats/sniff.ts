/** Formats that `readImage` decodes. */
export type ImageFormat = "png" | "jpeg" | "gif" | "webp" | "avif" | "bmp" | "svg";

/** What bytes look like from their first few, never from a name or a declared type. */
export type Sniffed = { format: ImageFormat } | { format: undefined; looksLike: string; hint: string };

/** Tells the format of a file by its signature. */
export function sniffFormat(bytes: Uint8Array): Sniffed {
  if (bytes.length === 0) return unknown("an empty file", "0 bytes arrived: was the download or upload cut off?");
  if (starts(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return { format: "png" };
  if (starts(bytes, [0xff, 0xd8, 0xff])) return { format: "jpeg" };
  const text = latin1(bytes, 0, 64);
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a")) return { format: "gif" };
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return { format: "webp" };
  if (text.startsWith("BM")) return { format: "bmp" };
  if (text.slice(4, 8) === "ftyp") return brand(bytes, text);
  return other(bytes, text);
}

function brand(bytes: Uint8Array, text: string): Sniffed {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0);
  const brands = `${text.slice(8, 12)}${latin1(bytes, 16, Math.min(length, 256))}`;
  if (/avif|avis/.test(brands)) return { format: "avif" };
  if (/heic|heix|hevc|mif1|msf1/.test(brands)) {
    return unknown("a HEIC photo", "convert it to JPEG or AVIF first: its codec is patented and not on every platform");
  }
  return unknown("a video (ISO media file)", "take a frame first, as a VideoFrame or a picture");
}

function other(bytes: Uint8Array, text: string): Sniffed {
  const signatures: [test: boolean, name: string][] = [
    [text.startsWith("II*\0") || text.startsWith("MM\0*"), "a TIFF image"],
    [starts(bytes, [0xff, 0x0a]) || text.slice(4, 8) === "JXL ", "a JPEG XL image"],
    [text.slice(4, 8) === "jP  " || starts(bytes, [0xff, 0x4f, 0xff, 0x51]), "a JPEG 2000 image"],
    [text.startsWith("8BPS"), "a Photoshop document"],
    [text.startsWith("%PDF"), "a PDF document"],
    [starts(bytes, [0, 0, 1, 0]), "an icon (ICO)"],
    [text.startsWith("PK\x03\x04"), "a zip archive"],
    [starts(bytes, [0x1f, 0x8b]), "gzip-compressed data"],
  ];
  const found = signatures.find(([test]) => test);
  if (found) return unknown(found[1], "convert it to PNG, JPEG, WebP, AVIF, GIF or BMP first");
  const markup = latin1(bytes, 0, 1024)
    .replace(/^\u00ef\u00bb\u00bf/, "")
    .trimStart()
    .toLowerCase();
  if (markup.startsWith("<svg") || (/^<(\?xml|!--|!doctype svg)/.test(markup) && markup.includes("<svg"))) {
    return { format: "svg" };
  }
  if (/^<(!doctype html|html|head|body)/.test(markup)) {
    return unknown("text/html", "did the URL return an error page? open it in a browser");
  }
  if (/^[[{]/.test(markup)) return unknown("JSON text", "did the server return an error message?");
  if (/^[\t\n\r -~]{1,64}/.test(text) && !/[^\t\n\r -~]/.test(text.slice(0, 32))) {
    return unknown("plain text", "check the path or URL: this is no picture");
  }
  return unknown("no known kind of file", "PNG, JPEG, WebP, AVIF, GIF and BMP can be read");
}

function unknown(looksLike: string, hint: string): Sniffed {
  return { format: undefined, looksLike, hint };
}

function starts(bytes: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((value, i) => bytes[i] === value);
}

/** Bytes as characters of the same number. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, Math.min(to, bytes.length)));
}
