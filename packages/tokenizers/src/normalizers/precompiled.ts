import { TokenizerError } from "../errors.ts";
import type { Json } from "../load/json.ts";
import { charLength } from "../text/aligned-text.ts";
import { ChangeList } from "../text/changes.ts";
import { utf8 } from "../text/utf8.ts";
import { isAscii, type Normalizer } from "./normalizer.ts";

/**
 * SentencePiece's precompiled character map: a Darts double-array trie over UTF-8 bytes whose values point into a
 * block of NUL-terminated replacements.
 */
export class Charsmap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #decoded = new Map<number, string>();

  /** `bytes` is the field `precompiled_charsmap`: trie size in bytes, trie, replacements. */
  constructor(bytes: Uint8Array, where: Json) {
    const bad = (what: string) =>
      where.fail("TK_PARAM", `invalid precompiled_charsmap: ${what}`, "download the file again");
    if (bytes.length < 4) throw bad(`${bytes.length} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = view.getUint32(0, true);
    if (size % 4 !== 0 || size === 0 || 4 + size > bytes.length)
      throw bad(`a trie of ${size} bytes in ${bytes.length} bytes`);
    this.#units = new Uint32Array(size / 4);
    for (let i = 0; i < this.#units.length; i++) this.#units[i] = view.getUint32(4 + 4 * i, true);
    this.#replacements = bytes.subarray(4 + size);
  }

  /** Calls `visit(length in bytes, value)` for each entry that starts at `bytes[from]`, shortest first, until it returns true. */
  search(bytes: Uint8Array, from: number, to: number, visit: (length: number, value: number) => boolean): void {
    let unit = this.#units[0]!;
    let node = offset(unit);
    for (let i = from; i < to; i++) {
      const c = bytes[i]!;
      if (c === 0) return;
      node ^= c;
      unit = this.#units[node] ?? 0;
      if ((unit & 0x800000ff) >>> 0 !== c) return;
      node ^= offset(unit);
      if ((unit >>> 8) & 1 && visit(i + 1 - from, (this.#units[node] ?? 0) & 0x7fffffff)) return;
    }
  }

  replacement(at: number): string {
    let text = this.#decoded.get(at);
    if (text === undefined) {
      let end = at;
      while (end < this.#replacements.length && this.#replacements[end] !== 0) end++;
      text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.#replacements.subarray(at, end));
      this.#decoded.set(at, text);
    }
    return text;
  }

  /** What PyPI tokenizers does with a grapheme: the shortest entry that is a prefix of it replaces all of it. */
  shortest(text: string): string | undefined {
    let found: string | undefined;
    const bytes = utf8(text);
    this.search(bytes, 0, bytes.length, (_, value) => {
      found = this.replacement(value);
      return true;
    });
    return found;
  }
}

function offset(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}

/** `Precompiled` of tokenizer.json: grapheme by grapheme, and character by character inside those without an entry. */
export function precompiled(map: Charsmap): Normalizer {
  const cache = new Map<string, string | null>();
  const lookup = (text: string): string | null => {
    let found = cache.get(text);
    if (found === undefined) {
      found = map.shortest(text) ?? null;
      if (cache.size > 20_000) cache.clear();
      cache.set(text, found);
    }
    return found;
  };
  return (piece) => {
    const changes = new ChangeList();
    let changed = false;
    const replace = (old: string, to: string) => {
      changed = true;
      let added = -countChars(old);
      for (const char of to) {
        changes.push(char, 0);
        added++;
      }
      if (added > 0) changes.markAdded(added);
      else if (added < 0) changes.addToLast(added);
    };
    for (const grapheme of graphemes(piece.text)) {
      if (grapheme.length < 6 && utf8(grapheme).length < 6) {
        const to = lookup(grapheme);
        if (to !== null) {
          replace(grapheme, to);
          continue;
        }
      }
      for (const char of grapheme) {
        const to = lookup(char);
        if (to !== null) replace(char, to);
        else changes.push(char, 0);
      }
    }
    return changed ? changes.apply(piece) : piece;
  };
}

function countChars(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i += charLength(text, i)) count++;
  return count;
}

let segmenter: Intl.Segmenter | undefined;

/** Extended grapheme clusters. ASCII needs no segmenter, apart from "\r\n". */
function* graphemes(text: string): Generator<string> {
  if (isAscii(text)) {
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) === 13 && text.charCodeAt(i + 1) === 10) {
        i++;
        yield "\r\n";
      } else yield text[i]!;
    }
    return;
  }
  if (typeof Intl === "undefined" || !("Segmenter" in Intl)) {
    throw new TokenizerError("FeatureMissingError", "TK_SEGMENTER", {
      what: "this engine has no Intl.Segmenter, which a Precompiled normalizer needs for text beyond ASCII",
      hint: "use a browser of 2024 or later",
    });
  }
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  // Whole words of ASCII go through quickly; the segmenter sees the rest, from one ASCII character before it.
  for (const match of text.matchAll(
    /[\x20-\x7e]*[\x20-\x7e](?=[\x20-\x7e])|(?:[^\x20-\x7e]+|[\x20-\x7e][^\x20-\x7e]*)/g,
  )) {
    const part = match[0];
    if (isAscii(part) && !part.includes("\r")) yield* part;
    else yield* segments(part);
  }
}

/**
 * Clusters of a long text, found a stretch at a time: V8's segmenter needs time proportional to the text for each step. The last
 * cluster of a stretch may go on behind it, so the next stretch starts with it.
 */
function* segments(text: string): Generator<string> {
  let size = 256;
  for (let at = 0; at < text.length; ) {
    const end = Math.min(at + size, text.length);
    let held = "";
    let next = at;
    for (const { segment } of segmenter!.segment(text.slice(at, end))) {
      if (held) {
        yield held;
        next += held.length;
      }
      held = segment;
    }
    if (end === text.length) {
      yield held;
      return;
    }
    // One cluster fills the stretch: look further.
    size = next === at ? size * 2 : 256;
    at = next;
  }
}
