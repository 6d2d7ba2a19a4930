import { VlmError } from "@vlm/core";
import { isNode } from "./default-store.ts";
import { nodeFolder } from "./node-folder.ts";
import { browserFolder } from "./opfs-folder.ts";
import type { OutputFolder } from "./output-folder.ts";

/** Where to write: a path (Node; in browsers a path in the origin private file system), an opened directory, or an own folder. */
export type FolderLike = string | FileSystemDirectoryHandle | OutputFolder;

/** Opens a folder for writing, and creates it when it does not exist. */
export async function openFolder(folder: FolderLike): Promise<OutputFolder> {
  if (typeof folder === "object") return "getDirectoryHandle" in folder ? browserFolder(folder) : folder;
  if (typeof folder !== "string" || folder === "") {
    throw new VlmError("ArgumentError", "FOLDER", { what: "a folder is a path or a directory handle" });
  }
  if (isNode()) return nodeFolder(folder);
  let at = await navigator.storage.getDirectory();
  for (const part of folder.split("/").filter(Boolean)) at = await at.getDirectoryHandle(part, { create: true });
  return browserFolder(at);
}
