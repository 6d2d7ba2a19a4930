/** GPT-2's alphabet: every byte as one printable character. */
export const BYTE_TO_CHAR: readonly string[] = (() => {
  const chars: string[] = [];
  let next = 256;
  for (let b = 0; b < 256; b++) {
    const printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    chars.push(String.fromCharCode(printable ? b : next++));
  }
  return chars;
})();

/** Inverse of {@link BYTE_TO_CHAR}, by character code; 255 entries of 324 are bytes, the others -1. */
export const CHAR_TO_BYTE: Int16Array = (() => {
  const bytes = new Int16Array(324).fill(-1);
  for (let b = 0; b < 256; b++) bytes[BYTE_TO_CHAR[b]!.charCodeAt(0)] = b;
  return bytes;
})();

const encoder = new TextEncoder();

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Malformed sequences become U+FFFD, as `String::from_utf8_lossy` does; a byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** `undefined` where the bytes are not UTF-8. */
export function decodeUtf8Strict(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes of the UTF-8 form of one code point. */
export function utf8Length(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** The byte-level form of a text: its UTF-8 bytes in GPT-2's alphabet. */
export function toByteChars(text: string): string {
  const bytes = utf8(text);
  let out = "";
  for (const b of bytes) out += BYTE_TO_CHAR[b];
  return out;
}

const LONE = /[\ud800-\udfff]/gu;

/** Lone surrogates replaced by U+FFFD (offsets stay, both are one unit), and how many there were. */
export function wellFormed(text: string): { text: string; replaced: number } {
  // Younger than our oldest engines, and many times faster than the pattern.
  if ((text as { isWellFormed?: () => boolean }).isWellFormed?.()) return { text, replaced: 0 };
  let replaced = 0;
  const out = text.replace(LONE, () => {
    replaced++;
    return "\ufffd";
  });
  return replaced ? { text: out, replaced } : { text, replaced };
}

/** Index of the first lone surrogate, or -1. */
export function firstLoneSurrogate(text: string): number {
  return text.search(LONE);
}
