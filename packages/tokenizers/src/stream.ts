/**
 * Decoding while tokens arrive. Text is handed out once it can no longer change: half a character, and a token whose
 * spacing depends on the next one, are held back until they are complete.
 */
export class DecodeStream {
  readonly #decode: (ids: readonly number[]) => string;
  /** The tokens whose text may still change, after some that give them context. */
  #ids: number[] = [];
  /** How much of the text of `#ids` has been handed out. */
  #done = "";
  #context = 0;

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  /** The text that the next token or tokens complete; often empty. */
  push(ids: number | Iterable<number>): string {
    let out = "";
    for (const id of typeof ids === "number" ? [ids] : ids) out += this.#step(id);
    return out;
  }

  /** The rest: what was held back, with U+FFFD for bytes that never became a character. */
  end(): string {
    const text = this.#decode(this.#ids);
    const rest = this.#rest(text);
    this.#ids = [];
    this.#done = "";
    this.#context = 0;
    return rest;
  }

  #step(id: number): string {
    const ids = [...this.#ids, id];
    const text = this.#decode(ids);
    this.#ids = ids;
    if (text.endsWith("\ufffd") || text.length <= this.#done.length) return "";
    const rest = this.#rest(text);
    // The tokens of this step become the context of the next: decoders treat the first token of a text differently.
    this.#ids = ids.slice(this.#context);
    this.#context = this.#ids.length;
    this.#done = this.#decode(this.#ids);
    return rest;
  }

  #rest(text: string): string {
    if (text.startsWith(this.#done)) return text.slice(this.#done.length);
    let same = 0;
    while (same < text.length && text[same] === this.#done[same]) same++;
    return text.slice(same);
  }
}
