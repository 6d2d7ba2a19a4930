import type { Tensor } from "@vlm/core";
import type { JsonValue } from "../json/json-scanner.ts";
import { readTensors } from "../keymap/read-tensors.ts";
import type { FolderLike } from "../store/open-folder.ts";
import { type CheckpointFolder, openCheckpoints } from "./checkpoint-folder.ts";
import type { ReadCheckpointOptions } from "./read-checkpoint.ts";

/** What a run needs to go on: its tensors by name, and everything else as JSON. */
export type RunState = { readonly tensors: ReadonlyMap<string, Tensor>; readonly json: unknown };

/** Keeps the checkpoints of a run: what `train` of @vlm/nn takes as `checkpoint: { store }`. */
export type RunCheckpoints = {
  /** The newest state that is whole, or undefined before the first. */
  latest(): Promise<
    { readonly step: number; readonly tensors: Map<string, Tensor>; readonly json: JsonValue } | undefined
  >;
  /** Writes a state; it counts once all of it is on disk. */
  save(step: number, state: RunState): Promise<void>;
  /** Gives the folder back to other writers. */
  close(): Promise<void>;
};

const TENSORS = "tensors.safetensors";
const STATE = "state.json";

/**
 * Checkpoints of a run in a folder (a path; in browsers, of the origin private file system). The folder is locked at
 * the first call, so that two runs cannot mix; `close` gives it up. Every tensor comes back bit for bit.
 * Throws `CheckpointError`, `ConcurrencyError` `CK_LOCKED` and `StorageError`.
 */
export function checkpoints(
  folder: FolderLike,
  options: { keep?: number } & ReadCheckpointOptions = {},
): RunCheckpoints {
  let opened: Promise<CheckpointFolder> | undefined;
  const open = (): Promise<CheckpointFolder> => {
    opened ??= openCheckpoints(folder, options).catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  return {
    async latest() {
      const found = await (await open()).latest(options);
      if (!found) return undefined;
      const store = await found.tensors(TENSORS);
      try {
        return {
          step: found.step,
          tensors: await readTensors(store),
          json: ((await found.json(STATE)) as { json: JsonValue }).json,
        };
      } finally {
        await store.close();
      }
    },
    async save(step, { tensors, json }) {
      await (await open()).write(step, { [TENSORS]: tensors, [STATE]: { json } }, options.signal);
    },
    async close() {
      const last = opened;
      opened = undefined;
      await (await last)?.close();
    },
  };
}
