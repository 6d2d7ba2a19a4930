import type { Pattern } from "../regex/pattern.ts";
import { CHAR_TO_BYTE, decodeUtf8, decodeUtf8Strict, utf8 } from "../text/utf8.ts";

/** Rewrites the list of tokens; the text is what is left, joined. */
export type Decoder = (tokens: string[]) => string[];

/** GPT-2's alphabet back to bytes, and those to text; tokens with other characters stand for themselves. */
export const byteLevelDecoder: Decoder = (tokens) => {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const token of tokens) {
    const bytes = byteLevelBytes(token);
    parts.push(bytes);
    length += bytes.length;
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return [decodeUtf8(all)];
};

function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = CHAR_TO_BYTE[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return utf8(token);
    bytes[i] = byte;
  }
  return bytes;
}

/** Runs of `<0xNN>` become their text, or one U+FFFD per byte where they are not UTF-8. */
export const byteFallbackDecoder: Decoder = (tokens) => {
  const out: string[] = [];
  let run: number[] = [];
  const flush = () => {
    if (!run.length) return;
    const text = decodeUtf8Strict(Uint8Array.from(run));
    if (text !== undefined) out.push(text);
    else for (const _ of run) out.push("\ufffd");
    run = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>$/.exec(token);
    if (byte) run.push(Number.parseInt(byte[1]!.replace("+", ""), 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
};

export const fuseDecoder: Decoder = (tokens) => [tokens.join("")];

/** Removes up to `start` and `stop` occurrences of a character from the ends of each token. */
export function stripDecoder(content: string, start: number, stop: number): Decoder {
  return (tokens) =>
    tokens.map((token) => {
      const chars = [...token];
      let from = 0;
      while (from < start && chars[from] === content) from++;
      let to = chars.length;
      while (chars.length - to < stop && to > 0 && chars[to - 1] === content) to--;
      return chars.slice(from, Math.max(from, to)).join("");
    });
}

export function replaceDecoder(pattern: Pattern, content: string): Decoder {
  return (tokens) =>
    tokens.map((token) => {
      let out = "";
      let last = 0;
      pattern.each(token, (start, end) => {
        out += token.slice(last, start) + content;
        last = end;
      });
      return out + token.slice(last);
    });
}

export function metaspaceDecoder(replacement: string, prepends: boolean): Decoder {
  return (tokens) => tokens.map((token, i) => token.replaceAll(replacement, i === 0 && prepends ? "" : " "));
}

export function bpeDecoder(suffix: string): Decoder {
  return (tokens) => tokens.map((token, i) => replaceAll(token, suffix, i === tokens.length - 1 ? "" : " "));
}

/** Rust's `replace` puts the replacement between all characters when the pattern is empty; so does replaceAll. */
function replaceAll(text: string, from: string, to: string): string {
  return from ? text.replaceAll(from, to) : `${to}${[...text].map((c) => c + to).join("")}`;
}

export function wordPieceDecoder(prefix: string, cleans: boolean): Decoder {
  return (tokens) =>
    tokens.map((token, i) => {
      let text = token;
      if (i > 0) text = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleans ? cleanUp(text) : text;
    });
}

export function ctcDecoder(pad: string, delimiter: string, cleans: boolean): Decoder {
  return (tokens) =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map((token) => {
        const text = replaceAll(token, pad, "");
        return cleans ? replaceAll(cleanUp(text), delimiter, " ") : text;
      })
      .filter((text) => text !== "");
}

/** English punctuation closes up with the word before. */
export function cleanUp(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}
