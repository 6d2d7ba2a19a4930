import { isVlmError, VlmError } from "@vlm/core";

const REASONS: Record<string, [what: string, hint: string | undefined, recoverable: boolean]> = {
  ENOENT: ["no such file or folder", "check the path", false],
  EACCES: ["permission denied", "check the permissions of the file and its folder", false],
  EPERM: ["operation not permitted", "check the permissions of the file and its folder", false],
  EROFS: ["the file system is read-only", "choose another folder", false],
  ENOSPC: ["the disk is full", "free some space, or choose another folder", true],
  EDQUOT: ["the disk quota is used up", "free some space, or choose another folder", true],
  QuotaExceededError: [
    "the browser's storage quota is used up",
    "free some space, or ask for persistent storage",
    true,
  ],
  ENOTDIR: ["a part of the path is a file, not a folder", "choose another path", false],
  EISDIR: ["the path is a folder, not a file", "choose another path", false],
  EEXIST: ["the path exists already and is no folder", "choose another path", false],
  ENAMETOOLONG: ["the name is too long", "choose a shorter path", false],
  EIO: ["the disk reported an error", "check the disk", true],
  EMFILE: ["too many open files", "close some files, or raise the limit", true],
};

/** The code that an error of the file system carries: Node's `code`, or a `DOMException`'s name. */
export function systemCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "UNKNOWN";
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === "string" ? code : String(name ?? "UNKNOWN");
}

/** True for what a file system throws: errors of Node with a code, and DOM exceptions but `AbortError`. */
function isSystemError(error: unknown): error is Error {
  if (!(error instanceof Error) || isVlmError(error) || error.name === "AbortError") return false;
  const isDom = typeof DOMException !== "undefined" && error instanceof DOMException;
  return isDom || /^E[A-Z0-9]+$/.test(systemCode(error)) || Object.hasOwn(REASONS, systemCode(error));
}

/** A file system error as a `StorageError` whose code is the system's; what is no such error passes unchanged. */
export function storageError(
  cause: unknown,
  action: string,
  where: string,
  details: Record<string, unknown> = {},
): unknown {
  if (!isSystemError(cause)) return cause;
  const code = systemCode(cause);
  const [what, hint, recoverable] = REASONS[code] ?? [cause.message, undefined, false];
  const shortage = typeof details.needed === "number" ? ` (${details.needed} bytes needed${free(details.free)})` : "";
  return new VlmError("StorageError", code, {
    what: `cannot ${action}: ${what}${shortage}`,
    where,
    hint,
    details: { ...details, action },
    recoverable,
    cause,
  });
}

const free = (bytes: unknown): string => (typeof bytes === "number" ? `, ${bytes} free` : "");
