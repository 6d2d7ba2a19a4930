import { TokenizerError } from "../errors.ts";
import type { Json } from "../load/json.ts";
import { Replacements } from "../text/replacements.ts";
import { utf8 } from "../text/utf8.ts";
import type { Normalizer } from "./normalizer.ts";

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
  /** Of characters that are a grapheme by themselves: 0 not looked up, 1 stays, 2 changes. */
  const kinds = new Uint8Array(0x10000);
  const stays = (code: number): boolean => {
    if (kinds[code] === 0) kinds[code] = lookup(String.fromCharCode(code)) === null ? 1 : 2;
    return kinds[code] === 1;
  };
  return (piece) => {
    const { text } = piece;
    const out = new Replacements(piece);
    for (let at = 0; at < text.length; ) {
      const code = text.charCodeAt(at);
      let end = at + 1;
      if (standsAlone(code) && (end === text.length || standsAlone(text.charCodeAt(end)))) {
        if (stays(code)) out.keep(end);
        else out.replace(end, lookup(text.charAt(at))!);
        at = end;
        continue;
      }
      // Up to the next place that is a boundary for certain.
      while (end < text.length && !(standsAlone(text.charCodeAt(end - 1)) && standsAlone(text.charCodeAt(end)))) end++;
      for (const grapheme of segments(text.slice(at, end))) {
        const whole = grapheme.length < 6 && utf8(grapheme).length < 6 ? lookup(grapheme) : null;
        if (whole !== null) out.replace(at + grapheme.length, whole);
        else {
          let to = at;
          for (const char of grapheme) {
            to += char.length;
            const other = lookup(char);
            if (other === null) out.keep(to);
            else out.replace(to, other);
          }
        }
        at += grapheme.length;
      }
    }
    return out.finish();
  };
}

/**
 * Characters between two of which there is always a grapheme boundary: letters, digits and punctuation of scripts that do not
 * combine, without marks, conjoining Hangul, and emoji.
 */
function standsAlone(code: number): boolean {
  if (code < 0x300) return code >= 0x20 ? code < 0x7f || (code >= 0xa0 && code !== 0xad) : code === 9 || code === 10;
  if (code < 0x530) return code >= 0x370 && (code < 0x483 || code >= 0x48a);
  if (code < 0x3000) return (code >= 0x1e00 && code < 0x2000) || (code >= 0x2010 && code < 0x2028);
  if (code < 0x3400) return code < 0x302a || (code >= 0x3041 && code < 0x3097) || (code >= 0x30a0 && code < 0x3100);
  return code < 0x4dc0 || (code >= 0x4e00 && code < 0xa000) || (code >= 0xac00 && code < 0xd7a4);
}

let segmenter: Intl.Segmenter | undefined;

/**
 * Clusters of a long text, found a stretch at a time: V8's segmenter needs time proportional to the text for each step. The last
 * cluster of a stretch may go on behind it, so the next stretch starts with it.
 */
function* segments(text: string): Generator<string> {
  if (typeof Intl === "undefined" || !("Segmenter" in Intl)) {
    throw new TokenizerError("FeatureMissingError", "TK_SEGMENTER", {
      what: "this engine has no Intl.Segmenter, which a Precompiled normalizer needs for text beyond ASCII",
      hint: "use a browser of 2024 or later",
    });
  }
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
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
