import { CONTROL, type SentencePieceModel, UNKNOWN } from "../load/sentencepiece-model.ts";
import { decodeUtf8Strict } from "../text/utf8.ts";
import type { Decoder } from "./decoder.ts";

/** SentencePiece's `Decode`: control pieces vanish, unknown ones show as its surface, bytes join into characters. */
export function sentencePieceDecoder(spec: SentencePieceModel): Decoder {
  const types = new Map(spec.pieces.map((p) => [p.piece, p.type]));
  const strips = spec.addDummyPrefix || spec.removeExtraWhitespaces;
  return (tokens) => {
    let text = "";
    let bytes: number[] = [];
    let atStart = true;
    let consumed = false;
    for (const token of tokens) {
      const byte = spec.byteFallback ? /^<0x([0-9A-F]{2})>$/.exec(token) : null;
      if (byte) {
        bytes.push(Number.parseInt(byte[1]!, 16));
        continue;
      }
      text += joinBytes(bytes);
      bytes = [];
      if (consumed || text) atStart = false;
      consumed = false;
      const type = types.get(token);
      if (type === CONTROL) continue;
      if (type === UNKNOWN) {
        text += spec.unkSurface;
        continue;
      }
      let piece = token;
      if (atStart && strips && piece.startsWith("▁")) {
        piece = piece.slice(1);
        consumed = !spec.removeExtraWhitespaces;
      }
      text += piece.replaceAll("▁", " ");
    }
    return [text + joinBytes(bytes)];
  };
}

/** Character by character; a byte that starts none is one U+FFFD. */
function joinBytes(bytes: readonly number[]): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at]!;
    const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const char = at + size <= bytes.length ? decodeUtf8Strict(Uint8Array.from(bytes.slice(at, at + size))) : undefined;
    text += char ?? "\ufffd";
    at += char === undefined ? 1 : size;
  }
  return text;
}
