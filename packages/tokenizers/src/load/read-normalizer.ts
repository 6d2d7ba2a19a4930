import { byteLevel } from "../normalizers/byte-level.ts";
import { bertNormalizer, lowercase, nmt, prepend, sequence, strip, stripAccents } from "../normalizers/characters.ts";
import type { Normalizer } from "../normalizers/normalizer.ts";
import { unicodeForm } from "../normalizers/unicode-forms.ts";
import { literalPattern, type Pattern, regexPattern } from "../regex/pattern.ts";
import { Rewriter } from "../text/aligned-text.ts";
import type { Json } from "./json.ts";
import { rare } from "./rare.ts";

type Reader = (json: Json) => Normalizer;

const READERS: Record<string, Reader> = {
  Sequence: (json) => sequence(json.get("normalizers").array().map(readNormalizer)),
  NFC: () => unicodeForm("NFC"),
  NFD: () => unicodeForm("NFD"),
  NFKC: () => unicodeForm("NFKC"),
  NFKD: () => unicodeForm("NFKD"),
  Lowercase: () => lowercase,
  StripAccents: () => stripAccents,
  Nmt: () => nmt,
  ByteLevel: () => byteLevel,
  Strip: (json) => strip(json.get("strip_left").boolean(), json.get("strip_right").boolean()),
  Prepend: (json) => {
    const prefix = json.get("prepend").string();
    return prefix ? prepend(prefix) : (piece) => piece;
  },
  Replace: (json) => replace(readPattern(json.get("pattern")), json.get("content").string()),
  Precompiled: (json) => {
    const { Charsmap, precompiled } = rare("charsmap", json.path);
    return precompiled(new Charsmap(base64(json.get("precompiled_charsmap")), json));
  },
  BertNormalizer: (json) => {
    const lower = json.get("lowercase").boolean(true);
    return bertNormalizer({
      cleanText: json.get("clean_text").boolean(true),
      chinese: json.get("handle_chinese_chars").boolean(true),
      // null means: as the lower-casing.
      stripAccents: json.get("strip_accents").boolean(lower),
      lowercase: lower,
    });
  },
};

export function readNormalizer(json: Json): Normalizer {
  return dispatch(json, READERS, "normalizer")(json);
}

/** Picks the reader of a component by its `type`. */
export function dispatch<T>(json: Json, readers: Record<string, T>, what: string): T {
  const type = json.get("type").string();
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (reader) return reader;
  const path = `${json.path}.type`;
  throw json
    .get("type")
    .fail(
      "TK_TYPE",
      `unknown ${what} ${JSON.stringify(type)} at ${path}`,
      `supported: ${Object.keys(readers).join(", ")}`,
    );
}

/** `{ "String": … }`, `{ "Regex": … }` or a plain string. */
export function readPattern(json: Json): Pattern {
  if (typeof json.value === "string") return literalPattern(json.value);
  if (json.has("Regex")) {
    const regex = json.get("Regex");
    return regexPattern(regex.string(), regex.path);
  }
  return literalPattern(json.get("String").string());
}

/** Every match becomes `content`, which stands for the last character of the match. */
function replace(pattern: Pattern, content: string): Normalizer {
  return (piece) => {
    let out: Rewriter | undefined;
    let last = 0;
    const { text } = piece;
    pattern.each(text, (start, end) => {
      // A character that becomes itself: most spaces of CLIP's.
      if (end - start === 1 && content.length === 1 && text.charCodeAt(start) === content.charCodeAt(0)) return;
      out ??= new Rewriter(piece);
      out.copy(last, start);
      let old = end - 1;
      if (old > 0 && (text.charCodeAt(old) & 0xfc00) === 0xdc00) old--;
      for (const char of content) out.emit(char, old);
      last = end;
    });
    if (!out) return piece;
    out.copy(last, text.length);
    return out.finish();
  };
}

export function base64(json: Json): Uint8Array {
  try {
    return Uint8Array.from(atob(json.string()), (c) => c.charCodeAt(0));
  } catch {
    throw json.fail("TK_PARAM", "not valid base64", "download the file again");
  }
}
