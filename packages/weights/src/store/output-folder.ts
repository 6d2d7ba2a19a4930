import type { ByteSource } from "../bytes/byte-source.ts";
import type { LockOwner } from "./lock-file.ts";

/** Makes the pieces of a file; called again when a write is repeated. */
export type Content = () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A folder that models and checkpoints are written to: on disk (Node), in the browser's storage, in memory. */
export interface OutputFolder {
  readonly name: string;
  /** Writes a file durably; it appears under its name at once and whole, in place of what was there. */
  write(path: string, content: Content): Promise<void>;
  /** Renames a file or a folder at once; absent where the storage cannot. */
  rename?(from: string, to: string): Promise<void>;
  /** Names directly inside a folder (""), of files and folders; none if it does not exist. */
  list(path: string): Promise<string[]>;
  /** A file for reading. */
  open(path: string): Promise<ByteSource>;
  /** Removes a file, or a folder with all it holds. What is absent is no error. */
  remove(path: string): Promise<void>;
  /** Bytes that can still be written, where that is known. */
  free(): Promise<number | undefined>;
  /** Takes the folder for one writer, or says who has it. */
  lock(): Promise<
    | {
        /** Lets other writers in. */
        release(): Promise<void>;
      }
    | LockOwner
  >;
}
