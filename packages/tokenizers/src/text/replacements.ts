import { type AlignedText, charLength, Rewriter } from "./aligned-text.ts";

/**
 * A text rewritten from left to right, with the alignment of PyPI tokenizers, which counts: characters of a replacement stand
 * for the replaced ones, one for one; those that are too many for the last of them; and what is left out belongs to nothing.
 * What is left out before anything was written shifts all that follows, there and here.
 */
export class Replacements {
  readonly #piece: AlignedText;
  #out: Rewriter | undefined;
  /** How far the text was read, and from where it is not yet copied. */
  #read = 0;
  #kept = 0;
  /** The character that the next one written stands for. */
  #at = 0;
  /** A character too many: it takes the place of one that is left out next. */
  #extra: string | undefined;

  constructor(piece: AlignedText) {
    this.#piece = piece;
  }

  /** Characters up to `end` stay. */
  keep(end: number): void {
    if (this.#extra !== undefined) this.#settle();
    if (this.#at === this.#read) {
      this.#at = end;
    } else {
      for (let i = this.#read; i < end; ) {
        const size = charLength(this.#piece.text, i);
        this.#write(this.#piece.text.slice(i, i + size));
        i += size;
      }
      this.#kept = end;
    }
    this.#read = end;
  }

  /** Characters up to `end` become `to`. */
  replace(end: number, to: string): void {
    const { text } = this.#piece;
    this.#out ??= new Rewriter(this.#piece);
    this.#out.copy(this.#kept, this.#read);
    let old = 0;
    for (let i = this.#read; i < end; i += charLength(text, i)) old++;
    for (const char of to) {
      if (this.#extra !== undefined) this.#settle();
      if (old > 0) this.#write(char);
      else this.#extra = char;
      old--;
    }
    if (old > 0) this.#leaveOut(old);
    this.#read = end;
    this.#kept = end;
  }

  finish(): AlignedText {
    if (this.#out === undefined) return this.#piece;
    if (this.#extra !== undefined) this.#settle();
    this.#out.copy(this.#kept, this.#read);
    return this.#out.finish();
  }

  #write(char: string): void {
    this.#out!.emit(char, this.#at);
    this.#at += charLength(this.#piece.text, this.#at);
  }

  #settle(): void {
    const { text } = this.#piece;
    const low = this.#at > 1 && (text.charCodeAt(this.#at - 1) & 0xfc00) === 0xdc00;
    this.#out!.emit(this.#extra!, this.#at === 0 ? -1 : this.#at - (low ? 2 : 1));
    this.#extra = undefined;
  }

  #leaveOut(count: number): void {
    if (this.#at === 0) return;
    let left = count;
    if (this.#extra !== undefined) {
      this.#write(this.#extra);
      this.#extra = undefined;
      left--;
    }
    for (; left > 0; left--) this.#at += charLength(this.#piece.text, this.#at);
  }
}
