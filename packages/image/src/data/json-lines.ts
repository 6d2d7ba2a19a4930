import type { Row } from "./csv.ts";
import { dataError } from "./data-error.ts";

/**
 * Parses text with one JSON object a line; empty lines are skipped.
 * @throws `DataError` naming the line for anything that is no object, or that has a key twice
 */
export function parseJsonLines(text: string, where: string): Row[] {
  const rows: Row[] = [];
  for (const [n, raw] of text
    .replace(/^\ufeff/, "")
    .split("\n")
    .entries()) {
    const source = raw.trim();
    if (source === "") continue;
    const place = `${where}:${n + 1}`;
    const values = parseObject(source, place);
    const twice = duplicateKey(source);
    if (twice !== undefined) {
      throw dataError("DataError", "DATA_DUPLICATE_KEY", `the key "${twice}" occurs twice`, place, "remove one");
    }
    rows.push({ line: n + 1, values });
  }
  return rows;
}

function parseObject(source: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (cause) {
    throw dataError(
      "DataError",
      "DATA_ROW",
      `the line is no JSON: ${(cause as Error).message}`,
      place,
      "one object a line",
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw dataError("DataError", "DATA_ROW", "the line is no JSON object", place, 'write {"file_name": …, "text": …}');
}

/** A key that the outermost object has twice; `JSON.parse` would silently keep the last. The text is valid JSON. */
function duplicateKey(source: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token] of source.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token.endsWith(":")) {
      const key = JSON.parse(token.slice(0, -1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}
