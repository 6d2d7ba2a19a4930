import { formatError, quote, type TokenizerError } from "../errors.ts";

/** A JSON value together with the path that leads to it, so that every complaint can say where. */
export class Json {
  readonly value: unknown;
  readonly path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.path = path;
  }

  get missing(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** The member `key` of an object; `missing` where it is absent. */
  get(key: string): Json {
    const object = this.object();
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    return new Json(value, `${this.path}.${key}`);
  }

  has(key: string): boolean {
    return !this.get(key).missing;
  }

  object(): Record<string, unknown> {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value))
      throw this.wrong("an object");
    return this.value as Record<string, unknown>;
  }

  array(): Json[] {
    return this.list().map((value, i) => new Json(value, `${this.path}[${i}]`));
  }

  list(): unknown[] {
    if (!Array.isArray(this.value)) throw this.wrong("an array");
    return this.value;
  }

  string(otherwise?: string): string {
    if (this.missing && otherwise !== undefined) return otherwise;
    if (typeof this.value !== "string") throw this.wrong("a string");
    return this.value;
  }

  /** A string of exactly one character. */
  character(otherwise?: string): string {
    const text = this.string(otherwise);
    if ([...text].length !== 1) throw this.fail("TK_PARAM", `${this.path} must be one character, got ${quote(text)}`);
    return text;
  }

  boolean(otherwise?: boolean): boolean {
    if (this.missing && otherwise !== undefined) return otherwise;
    if (typeof this.value !== "boolean") throw this.wrong("true or false");
    return this.value;
  }

  /** A non-negative whole number. */
  count(otherwise?: number): number {
    if (this.missing && otherwise !== undefined) return otherwise;
    if (typeof this.value !== "number" || !Number.isSafeInteger(this.value) || this.value < 0) {
      throw this.wrong("a whole number of at least 0");
    }
    return this.value;
  }

  choice<T extends string>(choices: readonly T[], otherwise?: T): T {
    if (this.missing && otherwise !== undefined) return otherwise;
    const found = choices.find((c) => c === this.value);
    if (found === undefined) throw this.wrong(`one of ${choices.join(", ")}`);
    return found;
  }

  wrong(expected: string): TokenizerError {
    const got = this.missing
      ? "nothing"
      : Array.isArray(this.value)
        ? "an array"
        : typeof this.value === "object"
          ? "an object"
          : typeof this.value === "string"
            ? quote(this.value)
            : String(this.value);
    return this.fail("TK_FIELD", `expected ${expected}, got ${got}`);
  }

  fail(code: string, what: string, hint?: string): TokenizerError {
    return formatError(code, this.path, what, hint);
  }
}
