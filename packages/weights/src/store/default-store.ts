import { VlmError } from "@vlm/core";
import { memoryStore } from "./memory-store.ts";
import { nodeStore } from "./node-store.ts";
import { opfsStore } from "./opfs-store.ts";
import type { Store } from "./store.ts";

export const isNode = (): boolean => typeof process !== "undefined" && !!process.versions?.node;

/** Environment variables in Node; nothing in browsers. */
export const environment = (name: string): string | undefined =>
  isNode() ? process.env[name] || undefined : undefined;

/**
 * Where downloads are kept unless told otherwise. Node: the cache folder of `huggingface_hub` (`HF_HUB_CACHE`, or
 * `hub` under `HF_HOME`, `XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface`). Browsers: the origin private file
 * system, and memory where a page may not use it (private windows), or `StorageError` `NO_STORAGE` with `persist`.
 */
export async function defaultStore(
  onWarning: (message: string) => void = console.warn,
  persist = false,
): Promise<Store> {
  if (isNode()) return nodeStore(await cacheFolder());
  try {
    const root = await navigator.storage.getDirectory();
    return opfsStore(await root.getDirectoryHandle("vlm-cache", { create: true }));
  } catch (cause) {
    if (persist) {
      throw new VlmError("StorageError", "NO_STORAGE", {
        what: "this page may not keep files",
        hint: "leave private browsing, or load without `persist`",
        cause,
      });
    }
    onWarning("this page may not keep files: downloads stay in memory and are repeated next time");
    return memoryStore();
  }
}

async function cacheFolder(): Promise<string> {
  const { homedir } = await import("node:os");
  const { join } = await import("node:path");
  const expand = (path: string): string => path.replace(/^~(?=\/|$)/, homedir());
  const direct = environment("HF_HUB_CACHE") ?? environment("HUGGINGFACE_HUB_CACHE");
  if (direct) return expand(direct);
  return join(await hfHome(), "hub");
}

/** The folder of Hugging Face's tools (Node). */
export async function hfHome(): Promise<string> {
  const { homedir } = await import("node:os");
  const { join } = await import("node:path");
  const home =
    environment("HF_HOME") ?? join(environment("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
  return home.replace(/^~(?=\/|$)/, homedir());
}
