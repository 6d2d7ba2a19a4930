import { printable, VlmError } from "@vlm/core";

/** Names that Windows reserves for devices, with or without an extension. */
const RESERVED = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/**
 * Requires that a path that came from a file (an index, a listing) names something inside the folder it belongs to:
 * relative, with forward slashes, and without anything that a file system or a URL would resolve elsewhere.
 * Throws `UnsafePathError`.
 */
export function checkPath(path: string, where: string, key?: string): string {
  const problem = problemOf(path);
  if (!problem) return path;
  throw new VlmError("UnsafePathError", "UNSAFE_PATH", {
    what: `${key === undefined ? "" : `"${printable(key)}" is said to be in `}"${printable(path)}": ${problem}`,
    where,
    hint: "the file may be an attack; do not use it, and report it to its host",
    details: { path, key },
  });
}

function problemOf(path: string): string | undefined {
  if (path === "") return "the path is empty";
  if (path.length > 1024) return "the path is too long";
  if ([...path].some((c) => c < " " || (c >= "\x7f" && c < "\xa0"))) return "control characters in a path";
  if (/[\\:*?"<>|#%]/.test(path)) return "a character that has a meaning for file systems or URLs";
  if (path.startsWith("/") || path.startsWith("~")) return "the path is absolute";
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === "..")
      return "the path leaves its folder or is not in its shortest form";
    if (RESERVED.test(part)) return "a device name of Windows";
    if (/[. ]$/.test(part)) return "a name that ends in a dot or a space";
  }
  return undefined;
}
