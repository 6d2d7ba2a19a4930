import { Trie } from "../models/trie.ts";
import { AlignedText } from "../text/aligned-text.ts";
import { utf8, utf8Length } from "../text/utf8.ts";
import type { Normalizer } from "./normalizer.ts";
import type { Charsmap } from "./precompiled.ts";

export type SentencePieceNormalization = {
  map: Charsmap | undefined;
  /** Pieces that are taken over as they are. */
  userDefined: readonly string[];
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  escapeWhitespaces: boolean;
  /** Puts the dummy space behind the text. */
  whitespaceSuffix: boolean;
};

/** SentencePiece's own normaliser: longest entry of the character map first, then its treatment of spaces. */
export function sentencePieceNormalizer(spec: SentencePieceNormalization): Normalizer {
  const symbols = new Trie(spec.userDefined.length);
  for (const [i, piece] of spec.userDefined.entries()) symbols.set(piece, i);
  const space = spec.escapeWhitespaces ? "▁" : " ";
  const removes = spec.removeExtraWhitespaces;
  return (piece) => {
    const source = piece.text;
    if (!source) return piece;
    const bytes = utf8(source);
    /** What the text at `at` (and byte `byteAt`) becomes: the replacement, and how many units and bytes it takes. */
    const prefix = (at: number, byteAt: number): [to: string, units: number, bytes: number] => {
      const symbol = spec.userDefined.length ? longest(symbols, source, at) : 0;
      if (symbol) return [source.slice(at, at + symbol), symbol, utf8(source.slice(at, at + symbol)).length];
      let length = 0;
      let value = 0;
      spec.map?.search(bytes, byteAt, bytes.length, (l, v) => {
        length = l;
        value = v;
        return false;
      });
      if (length) return [spec.map!.replacement(value), unitsOf(source, at, length), length];
      const code = source.codePointAt(at)!;
      return [String.fromCodePoint(code), code > 0xffff ? 2 : 1, utf8Length(code)];
    };
    let at = 0;
    let byteAt = 0;
    while (removes && at < source.length) {
      const [to, units, size] = prefix(at, byteAt);
      if (to !== " ") break;
      at += units;
      byteAt += size;
    }
    if (at >= source.length) return new AlignedText("", piece.at, piece.starts, piece.ends);
    let text = "";
    const origins: number[] = [];
    const add = (part: string, origin: number) => {
      text += part;
      for (let k = 0; k < part.length; k++) origins.push(origin);
    };
    if (spec.addDummyPrefix && !spec.whitespaceSuffix) add(space, at);
    let afterSpace = removes;
    while (at < source.length) {
      const [to, units, size] = prefix(at, byteAt);
      let part = to;
      if (afterSpace) part = part.replace(/^ +/, "");
      if (part) {
        add(spec.escapeWhitespaces ? part.replaceAll(" ", space) : part, at);
        afterSpace = part.endsWith(" ");
      }
      at += units;
      byteAt += size;
      if (!removes) afterSpace = false;
    }
    let end = at;
    while (removes && text.endsWith(space)) {
      text = text.slice(0, -1);
      end = origins.pop()!;
    }
    if (spec.addDummyPrefix && spec.whitespaceSuffix) add(space, end);
    origins.push(end);
    const starts = new Int32Array(text.length);
    const ends = new Int32Array(text.length);
    for (let i = 0; i < text.length; i++) {
      starts[i] = original(piece, origins[i]!);
      // The second unit of a surrogate pair belongs to the same character as the first.
      ends[i] = original(piece, origins[i + 1]!);
    }
    return new AlignedText(text, 0, starts, ends);
  };
}

/** Original index of a boundary of the piece. */
function original(piece: AlignedText, at: number): number {
  if (at < piece.text.length) return piece.start(at);
  return piece.text.length ? piece.end(piece.text.length - 1) : piece.at;
}

function longest(trie: Trie, text: string, at: number): number {
  let node = 0;
  let found = 0;
  for (let i = at; i < text.length; i++) {
    node = trie.step(node, text.charCodeAt(i));
    if (node < 0) break;
    if (trie.value(node) >= 0) found = i + 1 - at;
  }
  return found;
}

/** UTF-16 units of the next `length` bytes. */
function unitsOf(text: string, at: number, length: number): number {
  let units = 0;
  for (let left = length; left > 0; ) {
    const code = text.codePointAt(at + units)!;
    left -= utf8Length(code);
    units += code > 0xffff ? 2 : 1;
  }
  return units;
}
