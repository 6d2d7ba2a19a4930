import { formatError, quote } from "../errors.ts";
import { Json } from "./json.ts";

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
