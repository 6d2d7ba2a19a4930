import type { TensorEntry } from "./header.ts";

/** Named tensors in one or more files: what `openWeights` gives. Nothing but headers is read until bytes are asked for. */
export interface TensorStore {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The bytes of tensors as stored, in the order asked for; neighbours in a file are read together. */
  read(names: readonly string[], signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>[]>;
  /** Closes the files. */
  close(): Promise<void>;
}
