import { printable, VlmError } from "@vlm/core";
import { decodeUtf8 } from "../json/decode-utf8.ts";
import { JsonScanner } from "../json/json-scanner.ts";
import { checkLayout } from "./layout.ts";
import { bitsOf, isStoredDType, type StoredDType, storedDTypes } from "./stored-dtype.ts";

/** Where a tensor lies in its file: bytes [begin, end) of the whole file. */
export type TensorEntry = {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
};

/** What a safetensors header says; tensors and metadata keep the order of the file. */
export type SafetensorsHeader = {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
};

const MAX_RANK = 64;

/**
 * Parses and checks the JSON header of a safetensors file of `fileSize` bytes, whose header is `bytes`.
 * Stricter than the reference: duplicate names and sizes hidden by a zero dimension are refused.
 * Throws `WeightFormatError` with an `ST_` code.
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, file: string): SafetensorsHeader {
  if (bytes.length === 0) throw malformed("ST_HEADER_JSON", "empty header", file);
  const text = decodeUtf8(bytes, (offset) =>
    malformed("ST_HEADER_UTF8", `the header is not UTF-8 at byte ${8 + offset}`, file, { offset: 8 + offset }),
  );
  const scanner = new JsonScanner(text, (what, position) => {
    const offset = 8 + new TextEncoder().encode(text.slice(0, position)).length;
    return malformed("ST_HEADER_JSON", `the header is not JSON: ${what} at byte ${offset}`, file, { offset });
  });
  const first = scanner.peek();
  if (first === "\ufeff") throw malformed("ST_HEADER_START", "the header starts with a byte order mark", file);
  if (first !== "{" && /["[\d\-tfn]/.test(first)) {
    scanner.value(() => {});
    scanner.end();
    throw malformed("ST_HEADER_TYPE", "the header is not an object: expected an object of tensors", file);
  }
  const dataStart = 8 + bytes.length;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Map<string, string> | undefined;
  scanner.object((name) => {
    if (name === "__metadata__") {
      if (metadata) throw malformed("ST_DUPLICATE_FIELD", '"__metadata__" occurs twice', file);
      metadata = readMetadata(scanner, file);
      return;
    }
    if (tensors.has(name)) {
      throw malformed("ST_DUPLICATE_NAME", `tensor "${printable(name)}" occurs twice`, file, { tensor: name });
    }
    tensors.set(name, readEntry(scanner, name, dataStart, file));
  });
  scanner.end();
  checkLayout([...tensors.values()], dataStart, fileSize, file);
  return { tensors, metadata: metadata ?? new Map() };
}

export function malformed(code: string, what: string, file: string, details: Record<string, unknown> = {}): VlmError {
  const hint = "the file is damaged or was written wrongly; download it again, or report it to its author";
  return new VlmError("WeightFormatError", code, { what, where: file, hint, details });
}

function readMetadata(scanner: JsonScanner, file: string): Map<string, string> {
  const metadata = new Map<string, string>();
  const next = scanner.peek();
  if (next === "n") {
    scanner.value(); // The reference reads null as absent.
    return metadata;
  }
  if (next !== "{") throw malformed("ST_METADATA_TYPE", '"__metadata__" is not an object of strings', file);
  scanner.object((key) => {
    if (metadata.has(key)) {
      throw malformed("ST_DUPLICATE_FIELD", `"${printable(key)}" occurs twice in "__metadata__"`, file, { field: key });
    }
    if (scanner.peek() !== '"') {
      throw malformed(
        "ST_METADATA_TYPE",
        `"__metadata__" holds "${printable(key)}", whose value is not a string`,
        file,
        { key },
      );
    }
    metadata.set(key, scanner.string());
  });
  return metadata;
}

function readEntry(scanner: JsonScanner, name: string, dataStart: number, file: string): TensorEntry {
  const tensor = `tensor "${printable(name)}"`;
  const fail = (code: string, what: string, details: Record<string, unknown> = {}): VlmError =>
    malformed(code, `${tensor}: ${what}`, file, { tensor: name, ...details });
  if (scanner.peek() !== "{") throw fail("ST_FIELD_TYPE", "expected an object with dtype, shape and data_offsets");
  const seen = new Set<string>();
  let dtype: StoredDType | undefined;
  let shape: number[] | undefined;
  let offsets: [number, number] | undefined;
  scanner.object((field) => {
    if (seen.has(field)) throw fail("ST_DUPLICATE_FIELD", `field "${printable(field)}" occurs twice`, { field });
    seen.add(field);
    if (field === "dtype") dtype = readDType(scanner, fail);
    else if (field === "shape") shape = readShape(scanner, fail);
    else if (field === "data_offsets") offsets = readOffsets(scanner, fail);
    else scanner.value();
  });
  const missing = [!dtype && "dtype", !shape && "shape", !offsets && "data_offsets"].filter(Boolean);
  if (!dtype || !shape || !offsets)
    throw fail("ST_FIELD_MISSING", `field ${missing.join(", ")} is missing`, { missing });
  const count = shape.reduce((product, n) => product * n, 1);
  const bits = count * bitsOf(dtype);
  if (!Number.isSafeInteger(bits)) throw overflow(fail, shape);
  if (bits % 8 !== 0)
    throw fail("ST_SUBBYTE", `${count} elements of ${dtype} do not fill whole bytes`, { count, dtype });
  const [begin, end] = offsets;
  if (end - begin !== bits / 8) {
    throw fail("ST_SIZE", `${dtype} [${shape.join(" ")}] takes ${bits / 8} bytes, its offsets hold ${end - begin}`, {
      expected: bits / 8,
      got: end - begin,
    });
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

type Fail = (code: string, what: string, details?: Record<string, unknown>) => VlmError;

function readDType(scanner: JsonScanner, fail: Fail): StoredDType {
  const dtype = scanner.value();
  if (typeof dtype === "string" && isStoredDType(dtype)) return dtype;
  const got = typeof dtype === "string" ? `"${printable(dtype)}"` : typeof dtype;
  throw fail("ST_DTYPE", `unknown dtype ${got}; known are ${storedDTypes.join(", ")}`, {
    got: dtype,
    known: storedDTypes,
  });
}

function readShape(scanner: JsonScanner, fail: Fail): number[] {
  if (scanner.peek() !== "[") throw fail("ST_FIELD_TYPE", "shape is not a list");
  const shape: number[] = [];
  // The product of the dimensions that are not zero: a zero must not hide an overflow, wherever it stands.
  let product = 1n;
  scanner.array((axis) => {
    if (axis === MAX_RANK) throw fail("ST_RANK", `more than ${MAX_RANK} dimensions`, { limit: MAX_RANK });
    const text = integerText(scanner);
    if (text === undefined) {
      throw fail("ST_DIM", `dimension ${axis} is ${shownHere(scanner)}, not a whole number that is 0 or more`, {
        axis,
      });
    }
    const dim = BigInt(text);
    shape.push(Number(dim));
    if (dim > 0n) product *= dim;
    if (product > BigInt(Number.MAX_SAFE_INTEGER)) throw overflow(fail, [...shape.slice(0, -1), dim]);
  });
  return shape;
}

function overflow(fail: Fail, shape: readonly (number | bigint)[]): VlmError {
  return fail("ST_SHAPE_OVERFLOW", `shape [${shape.join(" ")} …] has more elements than any file can hold`);
}

function readOffsets(scanner: JsonScanner, fail: Fail): [number, number] {
  const values: string[] = [];
  const wrong = (): VlmError =>
    fail(
      "ST_OFFSETS",
      `data_offsets [${values.join(", ")}${values.length < 2 ? " …" : ""}] are not two numbers 0 ≤ begin ≤ end`,
      {
        offsets: values,
      },
    );
  if (scanner.peek() !== "[") throw wrong();
  scanner.array((index) => {
    const text = integerText(scanner);
    if (text === undefined || index === 2) {
      values.push(shownHere(scanner));
      throw wrong();
    }
    values.push(text);
  });
  if (values.length !== 2) throw wrong();
  const [begin, end] = values.map(BigInt) as [bigint, bigint];
  if (end < begin) throw wrong();
  if (end > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw fail("ST_TRUNCATED", `data_offsets [${begin}, ${end}) lie beyond any file`, { offsets: values });
  }
  return [Number(begin), Number(end)];
}

/** The text of a non-negative integer without sign, fraction and exponent, or undefined (nothing is consumed then). */
function integerText(scanner: JsonScanner): string | undefined {
  const next = scanner.peek();
  if (next !== "-" && !(next >= "0" && next <= "9")) return undefined;
  const at = scanner.position;
  const text = scanner.number();
  if (/^\d+$/.test(text)) return text;
  scanner.position = at;
  return undefined;
}

/** The value at the scanner's position, shortened, for a message. */
function shownHere(scanner: JsonScanner): string {
  scanner.peek();
  const rest = scanner.text.slice(scanner.position, scanner.position + 24);
  return printable(/^[^,\]}\s]*/.exec(rest)?.[0] ?? "", 24);
}
