/** What kind of remedy helps; `code` tells the exact case. */
export type TokenizerErrorName =
  | "TokenizerFormatError"
  | "TokenizerInputError"
  | "ResourceLimitError"
  | "IndexRangeError"
  | "ArgumentError"
  | "NetworkError"
  | "StorageError"
  | "FeatureMissingError";

export type TokenizerErrorParts = {
  /** What happened, with the numbers. */
  what: string;
  /** Where: a file, and the path of a field inside it. */
  where?: string | undefined;
  /** What to try next. */
  hint?: string | undefined;
  /** The same facts, structured. Never holds user text. */
  details?: Record<string, unknown> | undefined;
  /** True when trying again may help. */
  recoverable?: boolean | undefined;
  cause?: unknown;
};

const BRAND = Symbol.for("vlm.error");

/** The one error class of this package: a stable `code`, and a message of what, where and what to try. */
export class TokenizerError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;
  readonly hint: string | undefined;
  readonly where: string | undefined;
  readonly recoverable: boolean;

  constructor(name: TokenizerErrorName, code: string, parts: TokenizerErrorParts) {
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
    // Shared with the other packages, so that one `isVlmError` recognises errors of all of them.
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** A file that is not what it should be: permanent, trying again does not help. */
export function formatError(code: string, where: string, what: string, hint?: string): TokenizerError {
  return new TokenizerError("TokenizerFormatError", code, { what, where, hint });
}

/** A quoted name for messages: control characters escaped, long ones shortened. */
export function quote(text: string, limit = 60): string {
  const escaped = text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being escaped.
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/gu,
    (c) => `\\u${c.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
  return escaped.length > limit ? `"${escaped.slice(0, limit)}…" (${text.length} characters)` : `"${escaped}"`;
}
