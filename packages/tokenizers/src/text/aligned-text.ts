/**
 * A piece of normalised text that knows where it came from: for each UTF-16 unit the span of the original it stands for.
 * Most text is not changed by normalisation, and then no arrays are needed: unit `i` stands for `at + i`.
 */
export class AlignedText {
  readonly text: string;
  /** Without `starts`: the original index of unit 0. With `starts`: the index of unit 0 in `starts` and `ends`. */
  readonly at: number;
  readonly starts: Int32Array | undefined;
  readonly ends: Int32Array | undefined;

  constructor(text: string, at: number, starts?: Int32Array, ends?: Int32Array) {
    this.text = text;
    this.at = at;
    this.starts = starts;
    this.ends = ends;
  }

  /** Original start of the character that unit `i` belongs to. */
  start(i: number): number {
    if (this.starts) return this.starts[this.at + i] ?? 0;
    return this.at + (isLow(this.text, i) ? i - 1 : i);
  }

  /** Original end of the character that unit `i` belongs to. */
  end(i: number): number {
    if (this.ends) return this.ends[this.at + i] ?? 0;
    return this.at + (isHigh(this.text, i) ? i + 2 : i + 1);
  }

  slice(from: number, to: number): AlignedText {
    if (from === 0 && to === this.text.length) return this;
    return new AlignedText(this.text.slice(from, to), this.at + from, this.starts, this.ends);
  }

  /** The same alignment under another text of the same length. */
  withText(text: string): AlignedText {
    return new AlignedText(text, this.at, this.starts, this.ends);
  }
}

function isLow(text: string, i: number): boolean {
  return i > 0 && (text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800;
}

function isHigh(text: string, i: number): boolean {
  return (text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
}

/** Builds an {@link AlignedText} from another, piece by piece; arrays appear only where the alignment changes. */
export class Rewriter {
  readonly #source: AlignedText;
  #text = "";
  #length = 0;
  #starts: Int32Array | undefined;
  #ends: Int32Array | undefined;

  constructor(source: AlignedText) {
    this.#source = source;
  }

  /** Appends units `from` to `to` of the source as they are. */
  copy(from: number, to: number): void {
    if (from >= to) return;
    this.map(this.#source.text.slice(from, to), from);
  }

  /** Appends `text`, whose unit `k` stands for unit `from + k` of the source. */
  map(text: string, from: number): void {
    if (!this.#starts && from === this.#length) {
      this.#text += text;
      this.#length += text.length;
      return;
    }
    this.#reserve(text.length);
    const source = this.#source;
    for (let k = 0; k < text.length; k++) {
      this.#starts![this.#length + k] = source.start(from + k);
      this.#ends![this.#length + k] = source.end(from + k);
    }
    this.#text += text;
    this.#length += text.length;
  }

  /** Appends `text`, all of it standing for the character at unit `old` of the source; -1 stands for nothing. */
  emit(text: string, old: number): void {
    if (!this.#starts && old === this.#length && text.length === charLength(this.#source.text, old)) {
      this.#text += text;
      this.#length += text.length;
      return;
    }
    this.#reserve(text.length);
    const start = old < 0 ? 0 : this.#source.start(old);
    const end = old < 0 ? 0 : this.#source.end(old);
    this.#starts!.fill(start, this.#length, this.#length + text.length);
    this.#ends!.fill(end, this.#length, this.#length + text.length);
    this.#text += text;
    this.#length += text.length;
  }

  finish(): AlignedText {
    if (!this.#starts) return new AlignedText(this.#text, this.#source.at, this.#source.starts, this.#source.ends);
    return new AlignedText(
      this.#text,
      0,
      this.#starts.subarray(0, this.#length),
      this.#ends!.subarray(0, this.#length),
    );
  }

  #reserve(extra: number): void {
    const need = this.#length + extra;
    if (this.#starts && need <= this.#starts.length) return;
    const size = Math.max(need + 32, this.#starts ? this.#length * 2 : this.#source.text.length + 32);
    const starts = new Int32Array(size);
    const ends = new Int32Array(size);
    if (this.#starts) {
      starts.set(this.#starts);
      ends.set(this.#ends!);
    } else {
      for (let i = 0; i < this.#length; i++) {
        starts[i] = this.#source.start(i);
        ends[i] = this.#source.end(i);
      }
    }
    this.#starts = starts;
    this.#ends = ends;
  }
}

/** UTF-16 units of the character at `i`. */
export function charLength(text: string, i: number): number {
  const c = text.charCodeAt(i);
  return c >= 0xd800 && c < 0xdc00 && i + 1 < text.length ? 2 : 1;
}
