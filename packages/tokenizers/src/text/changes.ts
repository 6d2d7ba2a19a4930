import { type AlignedText, charLength, Rewriter } from "./aligned-text.ts";

/**
 * A rewriting written as characters with changes: 0 replaces the next character of the source, 1 is additional and
 * stands for the one before, -n also swallows n following characters. PyPI tokenizers defines offsets by such lists.
 */
export class ChangeList {
  readonly #chars: string[] = [];
  readonly #changes: number[] = [];

  push(char: string, change: number): void {
    this.#chars.push(char);
    this.#changes.push(change);
  }

  /** Adds to the change of the last character; nothing happens when there is none. */
  addToLast(change: number): void {
    const last = this.#changes.length - 1;
    if (last >= 0) this.#changes[last]! += change;
  }

  /** Marks the last `count` characters as additional. */
  markAdded(count: number): void {
    this.#changes.fill(1, Math.max(0, this.#changes.length - count));
  }

  apply(piece: AlignedText): AlignedText {
    const out = new Rewriter(piece);
    const { text } = piece;
    let at = 0;
    let before = -1;
    for (let i = 0; i < this.#chars.length; i++) {
      const change = this.#changes[i]!;
      if (change > 0) {
        out.emit(this.#chars[i]!, before);
        continue;
      }
      out.emit(this.#chars[i]!, at);
      for (let k = change; k <= 0; k++) {
        before = at;
        at += charLength(text, at);
      }
    }
    return out.finish();
  }
}
