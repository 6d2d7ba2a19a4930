import { nearest, VlmError } from "@vlm/core";
import { builtin } from "../platform.ts";
import type { ImageSource } from "../read-image.ts";
import { type ByteOptions, readBytes, sourceName } from "../source-bytes.ts";
import { parseCsv, type Row } from "./csv.ts";
import { dataError } from "./data-error.ts";
import { parseJsonLines } from "./json-lines.ts";

/** A picture and its words. `id` is unique in its data set. */
export type ImageCaption = { id: string; image: ImageSource; caption: string };

/** Told of each row that cannot be used: throws it, or counts and leaves it out. */
export type Skip = (sample: string, error: VlmError) => void;

/** Names of the columns that hold what. */
export type Columns = { image?: string; caption?: string; id?: string };

const IMAGE_NAMES = ["image", "file_name", "filename", "filepath", "path", "file", "url", "image_url"];
const CAPTION_NAMES = ["caption", "text", "title", "description", "annotation"];
const PICTURE = /\.(png|jpe?g|webp|gif|avif|bmp)$/i;
const TABLES = ["metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv", "captions.tsv"];
const LIMITS: ByteOptions = { maxBytes: 2 ** 30, timeout: 30_000 };

/** Pairs of a CSV, TSV or JSON Lines file; pictures lie relative to it and inside its folder, or are URLs. */
export async function readPairs(
  source: string | URL,
  columns: Columns,
  skip: Skip,
  signal?: AbortSignal,
): Promise<ImageCaption[]> {
  const where = sourceName(source);
  const bytes = await readBytes(source, { ...LIMITS, signal });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw dataError("DataError", "DATA_UTF8", "the file is not UTF-8 text", where, "save it as UTF-8");
  }
  const rows = /\.(jsonl|ndjson)$/i.test(where) ? parseJsonLines(text, where) : parseCsv(text, where);
  const found = findColumns(rows[0], columns, where);
  const pairs: ImageCaption[] = [];
  const lines = new Map<string, number>();
  for (const row of rows) {
    try {
      const pair = pairOf(row, found, source, where);
      // Without ids a picture may have several captions, each once.
      const key = found.id === undefined ? `${pair.id}\n${pair.caption}` : pair.id;
      const first = lines.get(key);
      if (first !== undefined) {
        const what = `"${pair.id}" ${found.id === undefined ? "with this caption " : ""}is already on line ${first}`;
        throw dataError(
          "DataError",
          "DATA_DUPLICATE_KEY",
          what,
          `${where}:${row.line}`,
          "remove one, or give each its own id",
        );
      }
      lines.set(key, row.line);
      pairs.push(pair);
    } catch (error) {
      skip(`${where}:${row.line}`, error as VlmError);
    }
  }
  return pairs;
}

type Found = { image: string; caption: string; id: string | undefined };

function findColumns(row: Row | undefined, { image, caption, id }: Columns, where: string): Found {
  const names = Object.keys(row?.values ?? {});
  const find = (what: string, wanted: string | undefined, usual: readonly string[]): string => {
    const name = wanted ?? usual.find((candidate) => names.includes(candidate));
    if (name !== undefined && (row === undefined || names.includes(name))) return name;
    const close = wanted === undefined ? [] : nearest(wanted, names);
    throw dataError(
      "DataError",
      "DATA_COLUMN",
      `there is no column for the ${what}${wanted ? ` "${wanted}"` : ""}; there are ${names.join(", ")}`,
      where,
      close.length > 0 ? `did you mean ${close.join(" or ")}?` : `pass { columns: { ${what}: "…" } }`,
    );
  };
  if (row === undefined) return { image: "image", caption: "caption", id: undefined };
  return {
    image: find("image", image, IMAGE_NAMES),
    caption: find("caption", caption, CAPTION_NAMES),
    id: id ?? ["id", "key"].find((name) => names.includes(name)),
  };
}

function pairOf(row: Row, found: Found, source: string | URL, where: string): ImageCaption {
  const place = `${where}:${row.line}`;
  const file = row.values[found.image];
  if (typeof file !== "string" || file.trim() === "") {
    throw dataError("DataError", "DATA_IMAGE_MISSING", `column "${found.image}" is empty`, place, "name a picture");
  }
  const caption = checkCaption(row.values[found.caption], `${place} (${file})`);
  const image = /^(https?|data):/i.test(file) ? file : beside(source, file, place);
  return { id: found.id === undefined ? file : String(row.values[found.id]), image, caption };
}

/** A file named in another file: it must lie in the same folder or below. */
function beside(source: string | URL, file: string, place: string): string {
  const text = source instanceof URL ? source.href : source;
  const path = builtin("node:path");
  if (path === undefined || /^https?:/i.test(text)) {
    const base = new URL(text, (globalThis as { location?: { href: string } }).location?.href);
    const url = new URL(file, base);
    if (url.href.startsWith(new URL(".", base).href)) return url.href;
    throw outside(file, place);
  }
  const folder = path.dirname(text.startsWith("file:") ? builtin("node:url")!.fileURLToPath(text) : text);
  const full = path.resolve(folder, file);
  if (full.startsWith(path.resolve(folder) + path.sep)) return full;
  throw outside(file, place);
}

function outside(file: string, place: string): VlmError {
  return new VlmError("UnsafePathError", "DATA_PATH", {
    what: `"${file}" lies outside the folder of the file that names it`,
    where: place,
    hint: "move the pictures below that folder, or pass an array of pairs",
    details: { file },
  });
}

/** A caption with words in it. */
export function checkCaption(caption: unknown, place: string): string {
  if (typeof caption === "string" && caption.trim() !== "") return caption.trim();
  const what = caption === undefined || caption === null ? "there is no caption" : "the caption is empty";
  throw dataError("DataError", "DATA_CAPTION_MISSING", what, place, 'write one, or pass { onError: "skip" }');
}

/**
 * Pairs of a folder and all below it: from `metadata.jsonl`, `metadata.csv` or `captions.*` in it, else each
 * picture's words from the text file of the same name.
 */
export async function listFolder(
  folder: string,
  columns: Columns,
  skip: Skip,
  caption?: (path: string) => string | undefined,
  signal?: AbortSignal,
): Promise<ImageCaption[]> {
  const fs = builtin("node:fs/promises")!;
  const path = builtin("node:path")!;
  const names = await filesBelow(folder);
  const table = caption === undefined ? TABLES.find((name) => names.includes(name)) : undefined;
  if (table !== undefined) return readPairs(path.join(folder, table), columns, skip, signal);
  const pairs: ImageCaption[] = [];
  const stems = new Map<string, string>();
  const known = new Set(names);
  for (const name of names.filter((file) => PICTURE.test(file))) {
    signal?.throwIfAborted();
    const full = path.join(folder, name);
    const stem = name.replace(PICTURE, "");
    try {
      const other = stems.get(stem);
      if (other !== undefined) {
        const what = `"${other}" and "${name}" share the name "${stem}" and so one caption`;
        throw dataError("DataError", "DATA_DUPLICATE_KEY", what, full, "rename or remove one");
      }
      stems.set(stem, name);
      const words =
        caption?.(name) ??
        (known.has(`${stem}.txt`) ? await fs.readFile(path.join(folder, `${stem}.txt`), "utf8") : undefined);
      pairs.push({ id: name, image: full, caption: checkCaption(words, full) });
    } catch (error) {
      skip(full, error as VlmError);
    }
  }
  return pairs;
}

/** Files of a folder and below, as paths with "/" relative to it, in the order of their code points on any system. */
async function filesBelow(folder: string): Promise<string[]> {
  const fs = builtin("node:fs/promises")!;
  const path = builtin("node:path")!;
  try {
    // Links to folders are not followed, so that a link to a parent does not go round in circles.
    const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"))
      .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  } catch (cause) {
    throw new VlmError("StorageError", "DATA_FOLDER", {
      what: `the folder cannot be listed: ${(cause as Error).message}`,
      where: folder,
      hint: "check the path; relative paths start at the working directory",
      cause,
    });
  }
}
