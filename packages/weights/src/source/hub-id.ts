import { printable, VlmError } from "@vlm/core";

export type HubId = { readonly repo: string; readonly revision: string };

const PART = /^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?$/;

/** True for `owner/name` and `owner/name@revision`, with or without `hf:` in front. */
export const looksLikeHubId = (text: string): boolean =>
  text.startsWith("hf:") || /^[\w-][\w.-]*\/[\w-][\w.-]*(@[^\s@]+)?$/.test(text);

/** Parses `[hf:]owner/name[@revision]`. Throws `ArgumentError`, or `UnsafePathError` for what could leave its repository. */
export function parseHubId(text: string, revision?: string): HubId {
  const [id = "", named] = text.replace(/^hf:/, "").split("@");
  const parts = id.split("/");
  if (parts.length > 2 || parts.some((part) => !PART.test(part) || part.includes("..") || part.includes("--"))) {
    throw new VlmError("ArgumentError", "HUB_ID", {
      what: `"${printable(text)}" is no name on the Hub`,
      hint: 'a name has the form "owner/name" or "owner/name@revision"',
    });
  }
  if (named !== undefined && revision !== undefined && named !== revision) {
    throw new VlmError("ArgumentError", "HUB_REVISION", {
      what: `two revisions are asked for: "${printable(named)}" in the name and "${printable(revision)}" in the options`,
    });
  }
  const chosen = named ?? revision ?? "main";
  // Branches may hold "/", such as refs/pr/1.
  if (!/^[\w][\w./-]*$/.test(chosen) || chosen.split("/").some((part) => part === "" || /^\.+$/.test(part))) {
    throw new VlmError("UnsafePathError", "HUB_REVISION", {
      what: `"${printable(chosen)}" is no revision`,
      where: printable(text),
    });
  }
  return { repo: id, revision: chosen };
}
