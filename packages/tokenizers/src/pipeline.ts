import { type AddedToken, AddedTokenFinder, cutPieces } from "./added-tokens.ts";
import { type EncodingColumns, emptyColumns } from "./encoding.ts";
import { WordCache } from "./models/cache.ts";
import { byteLevel } from "./normalizers/byte-level.ts";
import type { TokenizerParts } from "./parts.ts";
import { AlignedText } from "./text/aligned-text.ts";
import { TokenList } from "./text/token-list.ts";

const none = (): boolean => false;

/** From text to tokens: added tokens are cut out, the rest is normalised, split into words and given to the model. */
export class Pipeline {
  /** The tokens that are searched in normalised text, by the form they have there. */
  readonly normalForms: readonly (readonly [string, AddedToken])[];
  readonly #parts: TokenizerParts;
  readonly #rawFinder: AddedTokenFinder;
  readonly #normalFinder: AddedTokenFinder;
  readonly #words: WordCache;
  /** The model cannot read bytes: it gets words in GPT-2's alphabet. */
  readonly #mapsBytes: boolean;
  readonly #tokens = new TokenList();
  #word = 0;

  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    const { normalizer, model } = parts;
    this.normalForms = parts.added
      .filter((token) => token.normalized)
      .map((token) => [normalizer ? normalizer(new AlignedText(token.content, 0)).text : token.content, token]);
    this.#rawFinder = new AddedTokenFinder(
      parts.added.filter((token) => !token.normalized).map((token) => [token.content, token]),
    );
    this.#normalFinder = new AddedTokenFinder(this.normalForms);
    const asBytes = parts.bytes === true && model.tokenizeBytes !== undefined;
    this.#mapsBytes = parts.bytes === true && !asBytes;
    this.#words = new WordCache(model, asBytes);
  }

  /** Tokens of a well-formed text, without template, truncation and padding. */
  encode(text: string, typeId: number, allowSpecial: boolean | readonly string[]): EncodingColumns {
    const { normalizer, preTokenizer } = this.#parts;
    const allowed = allowSpecial || [];
    const ignore = allowed === true ? none : (token: AddedToken) => token.special && !allowed.includes(token.content);
    this.#tokens.clear();
    this.#word = 0;
    cutPieces(new AlignedText(text, 0), this.#rawFinder, ignore, (rawPiece, rawToken) => {
      if (rawToken) return this.#addToken(rawPiece, rawToken);
      const normal = normalizer ? normalizer(rawPiece) : rawPiece;
      cutPieces(normal, this.#normalFinder, ignore, (piece, token) => {
        if (token) this.#addToken(piece, token);
        else if (preTokenizer) preTokenizer(piece, this.#addWord);
        else this.#addWord(piece, 0, piece.text.length);
      });
    });
    return this.#columns(typeId);
  }

  #addToken(piece: AlignedText, token: AddedToken): void {
    this.#tokens.push(token.id, piece.start(0), piece.end(piece.text.length - 1), this.#word++);
  }

  readonly #addWord = (whole: AlignedText, first: number, last: number): void => {
    if (this.#mapsBytes) {
      const piece = byteLevel(whole.slice(first, last));
      this.#push(piece, 0, piece.text.length);
    } else this.#push(whole, first, last);
  };

  #push(piece: AlignedText, from: number, to: number): void {
    const found = this.#words.tokens(piece.text, from, to);
    const tokens = this.#tokens;
    const word = this.#word++;
    const { starts } = piece;
    if (starts === undefined) {
      const at = piece.at + from;
      for (let i = 0; i < found.length; i += 3) tokens.push(found[i]!, at + found[i + 1]!, at + found[i + 2]!, word);
      return;
    }
    for (let i = 0; i < found.length; i += 3) {
      const start = piece.start(from + found[i + 1]!);
      const end = found[i + 2]! > found[i + 1]! ? piece.end(from + found[i + 2]! - 1) : start;
      tokens.push(found[i]!, start, end, word);
    }
  }

  #columns(typeId: number): EncodingColumns {
    const tokens = this.#tokens;
    const n = tokens.length;
    const columns = emptyColumns(n);
    columns.ids.set(tokens.ids.subarray(0, n));
    columns.words.set(tokens.words.subarray(0, n));
    for (let i = 0; i < n; i++) {
      columns.offsets[2 * i] = tokens.starts[i]!;
      columns.offsets[2 * i + 1] = tokens.ends[i]!;
    }
    if (typeId) columns.typeIds.fill(typeId);
    return columns;
  }
}
