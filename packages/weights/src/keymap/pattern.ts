import { VlmError } from "@vlm/core";

/** What the variable parts of a pattern stood for. */
export type Bindings = ReadonlyMap<string, string>;

/** A key with variable parts: `{i}` a number, `{i+1}` that number plus one, `*` one name, `**` one or more names. */
export type Pattern = {
  readonly text: string;
  /** Names bound, in order; the n-th star is called "*n". */
  readonly names: readonly string[];
  /** What the parts stand for, if the key fits; each name stands for the same wherever it occurs. */
  match(key: string): Bindings | undefined;
  /** The key for these bindings. */
  fill(bindings: Bindings): string;
};

const PART = /\{([a-z]\w*)([+-]\d+)?\}|\*\*|\*/gi;

/** Compiles a pattern. Throws `ArgumentError` for stray braces. */
export function compilePattern(text: string): Pattern {
  const names: string[] = [];
  const pieces: (string | { name: string; offset: number })[] = [];
  let source = "";
  let at = 0;
  let stars = 0;
  const literal = (part: string): void => {
    if (/[{}]/.test(part)) {
      throw new VlmError("ArgumentError", "KM_PATTERN", {
        what: `"${text}" is no pattern`,
        hint: "variable parts are {i}, {i+1}, * and **",
      });
    }
    if (part) pieces.push(part);
    source += part.replace(/[\\^$.*+?()[\]|]/g, "\\$&");
  };
  for (const found of text.matchAll(PART)) {
    literal(text.slice(at, found.index));
    at = found.index + found[0].length;
    const name = found[1] ?? `*${stars++}`;
    pieces.push({ name, offset: Number(found[2] ?? 0) });
    names.push(name);
    source += found[0] === "**" ? "(.+)" : found[0] === "*" ? "([^.]+)" : "(0|[1-9][0-9]*)";
  }
  literal(text.slice(at));
  const regex = new RegExp(`^${source}$`, "s");
  const offsets = pieces.filter((piece) => typeof piece === "object").map((piece) => piece.offset);
  return {
    text,
    names,
    match(key) {
      const found = regex.exec(key);
      if (!found) return undefined;
      const bindings = new Map<string, string>();
      for (const [k, name] of names.entries()) {
        const value = offsets[k] === 0 ? found[k + 1]! : String(Number(found[k + 1]) - offsets[k]!);
        if ((bindings.get(name) ?? value) !== value) return undefined;
        bindings.set(name, value);
      }
      return bindings;
    },
    fill: (bindings) =>
      pieces
        .map((piece) => {
          if (typeof piece === "string") return piece;
          const value = bindings.get(piece.name)!;
          return piece.offset === 0 ? value : String(Number(value) + piece.offset);
        })
        .join(""),
  };
}
