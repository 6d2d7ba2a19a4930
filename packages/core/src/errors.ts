/** Every class of error this project throws; `code` tells the case, the class tells what kind of remedy helps. */
export type ErrorName =
  | "ShapeError"
  | "DTypeError"
  | "IndexRangeError"
  | "ArgumentError"
  | "DisposedError"
  | "GraphError"
  | "BackendUnavailableError"
  | "FeatureMissingError"
  | "LimitExceededError"
  | "OutOfMemoryError"
  | "DeviceLostError"
  | "ShaderCompileError"
  | "GpuValidationError"
  | "WeightFormatError"
  | "WeightMismatchError"
  | "IntegrityError"
  | "UnsafePathError"
  | "NetworkError"
  | "StorageError"
  | "TokenizerFormatError"
  | "TokenizerInputError"
  | "ResourceLimitError"
  | "ImageDecodeError"
  | "ImageLimitError"
  | "DataError"
  | "NonFiniteError"
  | "CheckpointError"
  | "WorkerError"
  | "ConcurrencyError";

/** The parts of an error's message, and fields for programs. */
export type ErrorParts = {
  /** What happened, with the numbers: both shapes, the index and the limit. */
  what: string;
  /** Where: a module path, a file, a tensor name. */
  where?: string | undefined;
  /** What to try next. */
  hint?: string | undefined;
  /** The same facts, structured. Never holds user text, tokens or credentials. */
  details?: Record<string, unknown> | undefined;
  /** True when trying again may help (network, memory, a lost device). */
  recoverable?: boolean | undefined;
  cause?: unknown;
};

const BRAND = Symbol.for("vlm.error");

/** The one error class: a stable `code`, and a message of what, where and what to try. */
export class VlmError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;
  readonly hint: string | undefined;
  readonly where: string | undefined;
  readonly recoverable: boolean;

  constructor(name: ErrorName, code: string, parts: ErrorParts) {
    const lines = [`[${code}] ${parts.what}`];
    if (parts.where) lines.push(`  in ${parts.where}`);
    if (parts.hint) lines.push(`  ${parts.hint}`);
    super(lines.join("\n"), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = name;
    this.code = code;
    this.details = parts.details ?? {};
    this.hint = parts.hint;
    this.where = parts.where;
    this.recoverable = parts.recoverable ?? false;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for errors of this project, also when two copies of a package are loaded. */
export function isVlmError(error: unknown): error is VlmError {
  return typeof error === "object" && error !== null && (error as Record<symbol, unknown>)[BRAND] === true;
}

/** Escapes control characters and lone surrogates and shortens, so that a hostile name cannot forge log lines. */
export function printable(text: string, limit = 80): string {
  let out = "";
  for (const c of text.slice(0, limit)) {
    const code = c.codePointAt(0)!;
    const plain = code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code < 0xe000);
    out += plain && code !== 0x2028 && code !== 0x2029 ? c : `\\u${code.toString(16).padStart(4, "0")}`;
  }
  return text.length > limit ? `${out}… (${text.length} characters)` : out;
}

/** The names of `known` that look most like `name`, nearest first. */
export function nearest(name: string, known: Iterable<string>, count = 3): string[] {
  const limit = Math.max(2, Math.ceil(name.length / 3));
  return [...known]
    .map((candidate) => [editDistance(name, candidate, limit), candidate] as const)
    .filter(([distance]) => distance <= limit)
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, candidate]) => candidate);
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
    }
    row = next;
  }
  return row[b.length]!;
}
