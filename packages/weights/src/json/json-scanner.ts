/** Any JSON value; objects are plain, their keys own properties whatever their names. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Makes the error for a problem at a character position of the text. */
export type JsonProblem = (what: string, position: number) => Error;

/** Nesting deeper than this is refused: no file of a model needs it, and recursion has to end. */
const MAX_DEPTH = 128;

/**
 * A strict pull scanner for JSON (RFC 8259). Unlike `JSON.parse` it shows duplicate keys, the order of integer-like
 * keys and the exact text of numbers, refuses lone surrogates, and says where it stopped.
 */
export class JsonScanner {
  readonly text: string;
  position = 0;
  readonly #problem: JsonProblem;
  #depth = 0;

  constructor(text: string, problem: JsonProblem) {
    this.text = text;
    this.#problem = problem;
  }

  fail(what: string, at: number = this.position): never {
    throw this.#problem(what, at);
  }

  /** Skips white space and returns the next character, "" at the end. */
  peek(): string {
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
      this.position++;
    }
    return this.text.charAt(this.position);
  }

  /** Requires that only white space is left. */
  end(): void {
    const next = this.peek();
    if (next !== "") this.fail(`unexpected ${shownCharacter(next)} after the end of the value`);
  }

  /** Reads an object; `entry` is called at each value and must read it. Keys may repeat: the caller decides. */
  object(entry: (key: string, at: number) => void): void {
    this.#open("{");
    if (this.peek() === "}") this.position++;
    else {
      for (;;) {
        if (this.peek() !== '"') this.#unexpected("a key in double quotes");
        const at = this.position;
        const key = this.string();
        this.#expect(":");
        entry(key, at);
        if (this.#separator("}")) break;
      }
    }
    this.#depth--;
  }

  /** Reads an array; `item` is called at each element and must read it. */
  array(item: (index: number) => void): void {
    this.#open("[");
    if (this.peek() === "]") this.position++;
    else {
      for (let index = 0; ; index++) {
        item(index);
        if (this.#separator("]")) break;
      }
    }
    this.#depth--;
  }

  string(): string {
    if (this.peek() !== '"') this.#unexpected("a string");
    const { text } = this;
    let start = ++this.position;
    let out = "";
    for (;;) {
      const code = text.charCodeAt(this.position);
      if (code === 0x22) {
        out += text.slice(start, this.position++);
        return out;
      }
      if (code === 0x5c) {
        out += text.slice(start, this.position);
        out += this.#escape();
        start = this.position;
      } else if (code >= 0x20) this.position++;
      else if (Number.isNaN(code)) this.fail("the text ends inside a string");
      else this.fail(`control character U+${code.toString(16).padStart(4, "0")} inside a string`);
    }
  }

  /** The exact text of a number, so that integers above 2^53, `1.0` and `-0` stay visible. */
  number(): string {
    this.peek();
    NUMBER.lastIndex = this.position;
    const match = NUMBER.exec(this.text);
    if (!match) this.#unexpected("a number");
    this.position = NUMBER.lastIndex;
    if (/[\w.+-]/.test(this.text.charAt(this.position))) this.fail("malformed number");
    return match[0];
  }

  /** Any value. `duplicate` is called with a key that occurs twice in one object; by default it is an error. */
  value(
    duplicate: (key: string, at: number) => void = (key, at) => this.fail(`duplicate key ${quoted(key)}`, at),
  ): JsonValue {
    switch (this.peek()) {
      case "{": {
        const out: { [key: string]: JsonValue } = {};
        this.object((key, at) => {
          if (Object.hasOwn(out, key)) duplicate(key, at);
          const value = this.value(duplicate);
          // Assignment to `__proto__` would set the prototype instead of a property.
          Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true });
        });
        return out;
      }
      case "[": {
        const out: JsonValue[] = [];
        this.array(() => void out.push(this.value(duplicate)));
        return out;
      }
      case '"':
        return this.string();
      case "t":
        return this.#literal("true", true);
      case "f":
        return this.#literal("false", false);
      case "n":
        return this.#literal("null", null);
      default:
        return Number(this.number());
    }
  }

  #open(bracket: string): void {
    this.#expect(bracket);
    if (++this.#depth > MAX_DEPTH) this.fail(`nested deeper than ${MAX_DEPTH} levels`);
  }

  #expect(character: string): void {
    if (this.peek() !== character) this.#unexpected(`"${character}"`);
    this.position++;
  }

  #separator(close: string): boolean {
    const next = this.peek();
    if (next !== "," && next !== close) this.#unexpected(`"," or "${close}"`);
    this.position++;
    return next === close;
  }

  #unexpected(expected: string): never {
    this.fail(`expected ${expected}, got ${shownCharacter(this.peek())}`);
  }

  #literal<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.position)) this.#unexpected("a value");
    this.position += word.length;
    if (/\w/.test(this.text.charAt(this.position))) this.fail(`malformed literal`);
    return value;
  }

  #escape(): string {
    const at = this.position;
    const letter = this.text.charAt(at + 1);
    this.position += 2;
    const simple = ESCAPES[letter];
    if (simple !== undefined) return simple;
    if (letter !== "u") this.fail("unknown escape in a string", at);
    const unit = this.#hex(at);
    if (unit >= 0xdc00 && unit < 0xe000) this.fail("lone surrogate in a string", at);
    if (unit < 0xd800 || unit >= 0xdc00) return String.fromCharCode(unit);
    if (this.text.slice(this.position, this.position + 2) !== "\\u") this.fail("lone surrogate in a string", at);
    this.position += 2;
    const low = this.#hex(at);
    if (low < 0xdc00 || low >= 0xe000) this.fail("lone surrogate in a string", at);
    return String.fromCharCode(unit, low);
  }

  #hex(at: number): number {
    const digits = this.text.slice(this.position, this.position + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("\\u needs four hexadecimal digits", at);
    this.position += 4;
    return Number.parseInt(digits, 16);
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

const ESCAPES: Record<string, string> = Object.assign(Object.create(null), {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
});

function shownCharacter(c: string): string {
  if (c === "") return "the end of the text";
  const code = c.charCodeAt(0);
  return code > 0x20 && code < 0x7f ? `"${c}"` : `U+${code.toString(16).padStart(4, "0")}`;
}

const quoted = (key: string): string => JSON.stringify(key.slice(0, 80));
