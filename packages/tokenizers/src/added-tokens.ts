import { formatError, quote } from "./errors.ts";
import type { Json } from "./load/json.ts";
import { Trie } from "./models/trie.ts";
import type { AlignedText } from "./text/aligned-text.ts";
import { classTable, isSpace, WORD } from "./unicode/classes.ts";

/** A token that is cut out of the text before the model sees it. */
export type AddedToken = {
  id: number;
  content: string;
  /** Matches only where no word character touches it. */
  singleWord: boolean;
  /** Takes the whitespace on its left along. */
  lstrip: boolean;
  /** Takes the whitespace on its right along. */
  rstrip: boolean;
  /** Is searched in the normalised text. */
  normalized: boolean;
  /** Has a meaning for the model; is left out of decoded text. */
  special: boolean;
};

/** One entry of `added_tokens`; fields may be missing, as in older files. */
export function readAddedToken(json: Json, warnings: string[]): AddedToken {
  const content = json.get("content").string();
  if (!content) throw formatError("TK_ADDED_EMPTY", `${json.path}.content`, "an added token must not be empty");
  const special = json.get("special").boolean(false);
  const flag = (name: string, otherwise: boolean) => {
    if (!json.has(name)) warnings.push(`${json.path} (${quote(content)}) has no ${name}; ${otherwise} is assumed`);
    return json.get(name).boolean(otherwise);
  };
  return {
    id: json.get("id").count(),
    content,
    singleWord: flag("single_word", false),
    lstrip: flag("lstrip", false),
    rstrip: flag("rstrip", false),
    normalized: flag("normalized", !special),
    special,
  };
}

export type AddedSpan = { token: AddedToken | undefined; from: number; to: number };

/** Finds a set of added tokens in a text: leftmost, then longest, in time linear in the text (up to the longest token). */
export class AddedTokenFinder {
  readonly #trie: Trie;
  readonly #tokens: AddedToken[] = [];
  /** The units that tokens start with: everything else is passed over at the speed of RegExp. */
  readonly #first: RegExp;

  /** `entries`: the form searched for, and the token. */
  constructor(entries: Iterable<readonly [string, AddedToken]>) {
    const list = [...entries].filter(([form]) => form !== "");
    this.#trie = new Trie(list.length);
    const units = new Set(list.map(([form]) => `\\u${form.charCodeAt(0).toString(16).padStart(4, "0")}`));
    this.#first = new RegExp(`[${[...units].join("")}]`, "g");
    for (const [form, token] of list) {
      this.#trie.set(form, this.#tokens.length);
      this.#tokens.push(token);
    }
  }

  get empty(): boolean {
    return this.#tokens.length === 0;
  }

  /** Cuts the text into added tokens and the stretches between them; `ignore` makes a token ordinary text. */
  split(text: string, ignore: (token: AddedToken) => boolean): AddedSpan[] {
    const spans: AddedSpan[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      this.#first.lastIndex = at;
      if (!this.#first.test(text)) break;
      at = this.#first.lastIndex - 1;
      const match = this.#longest(text, at);
      if (!match) {
        at++;
        continue;
      }
      const [token, end] = match;
      let from = at;
      let to = end;
      at = end;
      if (ignore(token)) continue;
      if (token.singleWord && (wordBefore(text, from) || wordAt(text, to))) continue;
      if (token.lstrip) while (from > done && isSpace(text.charCodeAt(from - 1))) from--;
      if (token.rstrip) while (to < text.length && isSpace(text.charCodeAt(to))) to++;
      // Whitespace that the token before has taken is not taken twice.
      from = Math.max(from, done);
      if (done < from) spans.push({ token: undefined, from: done, to: from });
      spans.push({ token, from, to });
      done = to;
    }
    if (done < text.length) spans.push({ token: undefined, from: done, to: text.length });
    return spans;
  }

  #longest(text: string, at: number): [AddedToken, number] | undefined {
    let node = 0;
    let found = -1;
    let end = at;
    for (let i = at; i < text.length; i++) {
      node = this.#trie.step(node, text.charCodeAt(i));
      if (node < 0) break;
      const value = this.#trie.value(node);
      if (value >= 0) {
        found = value;
        end = i + 1;
      }
    }
    return found < 0 ? undefined : [this.#tokens[found]!, end];
  }
}

function wordAt(text: string, at: number): boolean {
  return at < text.length && (classTable()[text.codePointAt(at)!]! & WORD) !== 0;
}

function wordBefore(text: string, at: number): boolean {
  if (at === 0) return false;
  const low = at > 1 && (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00;
  return (classTable()[text.codePointAt(low ? at - 2 : at - 1)!]! & WORD) !== 0;
}

/** Applies a split to a piece of text with alignment. */
export function cutPieces(
  piece: AlignedText,
  finder: AddedTokenFinder,
  ignore: (token: AddedToken) => boolean,
  visit: (piece: AlignedText, token: AddedToken | undefined) => void,
): void {
  if (!piece.text) return;
  if (finder.empty) {
    visit(piece, undefined);
    return;
  }
  for (const { token, from, to } of finder.split(piece.text, ignore)) visit(piece.slice(from, to), token);
}
