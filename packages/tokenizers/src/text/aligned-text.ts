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

const CHUNK = 1 << 14;
/** Where short texts keep their alignment: typed arrays of their own would cost more than all else about a word. */
const chunk = { starts: new Int32Array(0), ends: new Int32Array(0), used: 0 };

/** Builds an {@link AlignedText} from another, piece by piece; arrays appear only where the alignment changes. */
export class Rewriter {
  readonly #source: AlignedText;
  #text = "";
  #length = 0;
  #starts: Int32Array | undefined;
  #ends: Int32Array | undefined;
  /** Where in the arrays this text begins, and how much room it has there. */
  #base = 0;
  #room = 0;

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
    if (this.#starts || from !== this.#length) {
      this.#reserve(text.length);
      this.#align(from, text.length);
    }
    this.#text += text;
    this.#length += text.length;
  }

  /** Appends `text`, all of it standing for the character at unit `old` of the source; -1 stands for nothing. */
  emit(text: string, old: number): void {
    if (this.#starts || old !== this.#length || text.length !== charLength(this.#source.text, old)) {
      this.#reserve(text.length);
      const start = old < 0 ? 0 : this.#source.start(old);
      const end = old < 0 ? 0 : this.#source.end(old);
      for (let k = 0, to = this.#base + this.#length; k < text.length; k++, to++) {
        this.#starts![to] = start;
        this.#ends![to] = end;
      }
    }
    this.#text += text;
    this.#length += text.length;
  }

  finish(): AlignedText {
    if (!this.#starts) return new AlignedText(this.#text, this.#source.at, this.#source.starts, this.#source.ends);
    // What was not needed goes back, when nothing was taken since.
    if (this.#starts === chunk.starts && this.#base + this.#room === chunk.used) chunk.used = this.#base + this.#length;
    return new AlignedText(this.#text, this.#base, this.#starts, this.#ends);
  }

  /** Alignment of the next `count` units: those of the source from `from` on. */
  #align(from: number, count: number): void {
    const source = this.#source;
    const starts = this.#starts!;
    const ends = this.#ends!;
    const at = source.at + from;
    let to = this.#base + this.#length;
    if (source.starts) {
      for (let k = at; k < at + count; k++, to++) {
        starts[to] = source.starts[k]!;
        ends[to] = source.ends![k]!;
      }
      return;
    }
    for (let k = 0; k < count; k++, to++) {
      const surrogate = (source.text.charCodeAt(from + k) & 0xf800) === 0xd800;
      starts[to] = surrogate ? source.start(from + k) : at + k;
      ends[to] = surrogate ? source.end(from + k) : at + k + 1;
    }
  }

  #reserve(extra: number): void {
    const need = this.#length + extra;
    if (this.#starts && need <= this.#room) return;
    const old = { starts: this.#starts, ends: this.#ends, base: this.#base };
    const size = Math.max(need + 32, old.starts ? this.#length * 2 : this.#source.text.length + 32);
    this.#take(size);
    if (old.starts) {
      this.#starts!.set(old.starts.subarray(old.base, old.base + this.#length), this.#base);
      this.#ends!.set(old.ends!.subarray(old.base, old.base + this.#length), this.#base);
      return;
    }
    const length = this.#length;
    this.#length = 0;
    this.#align(0, length);
    this.#length = length;
  }

  #take(size: number): void {
    this.#room = size;
    if (size > CHUNK / 8) {
      this.#base = 0;
      this.#starts = new Int32Array(size);
      this.#ends = new Int32Array(size);
      return;
    }
    if (chunk.starts.length === 0 || chunk.used + size > CHUNK) {
      chunk.starts = new Int32Array(CHUNK);
      chunk.ends = new Int32Array(CHUNK);
      chunk.used = 0;
    }
    this.#base = chunk.used;
    this.#starts = chunk.starts;
    this.#ends = chunk.ends;
    chunk.used += size;
  }
}

/** UTF-16 units of the character at `i`. */
export function charLength(text: string, i: number): number {
  const c = text.charCodeAt(i);
  return c >= 0xd800 && c < 0xdc00 && i + 1 < text.length ? 2 : 1;
}
