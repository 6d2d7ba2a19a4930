import type { ByteSource } from "../bytes/byte-source.ts";
import type { Sink } from "../net/download.ts";

/** A file that is being downloaded. It is not visible under its name until `commit`. */
export interface PartialFile extends Sink {
  /** The bytes so far, to hash them. */
  source(): Promise<ByteSource>;
  /** Makes the file durable and visible under its name, at once. */
  commit(): Promise<void>;
  /** Moves wrong bytes aside, so that they are neither used nor continued. */
  quarantine(): Promise<void>;
  /** Gives up exclusive use. What came is kept, to be continued. */
  close(): Promise<void>;
}

/** A place to keep files: a folder (Node), the origin private file system (browsers), memory. Paths use "/". */
export interface Store {
  readonly name: string;
  /** A file's content, or undefined where there is none. Links are followed. */
  open(path: string): Promise<ByteSource | undefined>;
  /** A small file's text; undefined where there is none. */
  readText(path: string): Promise<string | undefined>;
  /** Replaces a small file at once. */
  writeText(path: string, text: string): Promise<void>;
  /** Makes `path` another name of the file `target`. */
  link(target: string, path: string): Promise<void>;
  /** Names of the files under a folder, relative to it. */
  list(path: string): Promise<string[]>;
  /** Waits for exclusive use of a download; other tabs and processes wait meanwhile. */
  partial(path: string, signal?: AbortSignal): Promise<PartialFile>;
}
