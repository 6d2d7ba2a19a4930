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

/** Parses JSON text and refuses what `JSON.parse` passes over in silence: objects that name a key twice. */
export function parseJson(text: string, file: string): Json {
  let value: unknown;
  try {
    // A byte order mark is legal at the start of a file and not in JSON.
    value = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/".*"/su, "…") : String(cause);
    throw formatError("TK_JSON", file, `not valid JSON: ${quote(reason, 160)}`, "download the file again");
  }
  const twice = duplicateKey(text, value);
  if (twice !== undefined) {
    throw formatError(
      "TK_DUPLICATE_KEY",
      file,
      `the key ${quote(twice)} occurs twice in one object`,
      "remove one of the two",
    );
  }
  return new Json(value, file);
}

/** Members written in the text minus members that survived parsing tells whether any key was overwritten. */
function duplicateKey(text: string, value: unknown): string | undefined {
  let written = 0;
  scanKeys(text, () => {
    written++;
  });
  if (written === countKeys(value)) return undefined;
  const seen: Set<string>[] = [];
  let found: string | undefined;
  scanKeys(text, (key, depth, fresh) => {
    if (fresh) seen[depth] = new Set();
    const name = JSON.parse(key) as string;
    if (seen[depth]!.has(name)) found ??= name;
    seen[depth]!.add(name);
  });
  return found;
}

function scanKeys(text: string, visit: (key: string, depth: number, fresh: boolean) => void): void {
  let depth = 0;
  const fresh: boolean[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 34) {
      let end = text.indexOf('"', i + 1);
      while (escaped(text, end)) end = text.indexOf('"', end + 1);
      let next = end + 1;
      while (text.charCodeAt(next) <= 32) next++;
      if (text.charCodeAt(next) === 58) {
        visit(text.slice(i, end + 1), depth, fresh[depth] ?? true);
        fresh[depth] = false;
      }
      i = end;
    } else if (c === 123) fresh[++depth] = true;
    else if (c === 125) depth--;
  }
}

function escaped(text: string, quoteAt: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(quoteAt - 1 - slashes) === 92) slashes++;
  return slashes % 2 === 1;
}

function countKeys(value: unknown): number {
  let count = 0;
  const queue: unknown[] = [value];
  while (queue.length) {
    const item = queue.pop();
    if (typeof item !== "object" || item === null) continue;
    const members = Array.isArray(item) ? item : Object.values(item);
    if (!Array.isArray(item)) count += members.length;
    for (const member of members) if (typeof member === "object" && member !== null) queue.push(member);
  }
  return count;
}
