import { isVlmError, VlmError } from "@vlm/core";
import { type FolderLike, openFolder } from "../store/open-folder.ts";
import type { OutputFolder } from "../store/output-folder.ts";
import { type Checkpoint, type ReadCheckpointOptions, readLatestCheckpoint } from "./read-checkpoint.ts";
import { type CheckpointFiles, isLeftover, writeCheckpoint } from "./write-checkpoint.ts";

/** A run's folder of checkpoints, used by one writer at a time. */
export type CheckpointFolder = {
  readonly name: string;
  /** Writes a checkpoint whole or not at all, and removes the oldest beyond `keep`. */
  write(step: number, files: CheckpointFiles, signal?: AbortSignal): Promise<string>;
  /** The newest whole checkpoint, if there is one. */
  latest(options?: ReadCheckpointOptions): Promise<Checkpoint | undefined>;
  /** Gives the folder up for other runs. */
  close(): Promise<void>;
};

/**
 * Opens a folder for the checkpoints of a run, before the first step: takes its lock, tries a write, and clears what a
 * killed run left. Throws `ConcurrencyError` `CK_LOCKED` when another run has it, `StorageError` when it cannot be written.
 */
export async function openCheckpoints(
  folder: FolderLike,
  { keep = 3 }: { keep?: number } = {},
): Promise<CheckpointFolder> {
  if (!Number.isSafeInteger(keep) || keep < 1) {
    throw new VlmError("ArgumentError", "CK_KEEP", { what: `keep is ${keep}; at least one checkpoint is kept` });
  }
  const opened: OutputFolder = await openFolder(folder);
  const lock = await opened.lock();
  if (!("release" in lock)) {
    const who = lock.pid > 0 ? `process ${lock.pid} on ${lock.host}, since ${lock.since}` : lock.host;
    throw new VlmError("ConcurrencyError", "CK_LOCKED", {
      what: `another run writes to this folder: ${who}`,
      where: opened.name,
      hint: "stop it, or choose another folder",
      details: { ...lock },
      recoverable: true,
    });
  }
  try {
    await opened.write(".probe", () => [new Uint8Array(1)]);
    await opened.remove(".probe");
    for (const name of await opened.list("")) if (isLeftover(name)) await restoreOrRemove(opened, name);
  } catch (error) {
    await lock.release();
    throw error;
  }
  return {
    name: opened.name,
    write: (step, files, signal) => writeCheckpoint(opened, step, files, { keep, signal }),
    latest: (options) => readLatestCheckpoint(opened, options),
    close: () => lock.release(),
  };
}

/** A checkpoint that was moved away for one of the same step, which then never came, goes back to its place. */
async function restoreOrRemove(folder: OutputFolder, name: string): Promise<void> {
  const place = /^(step-\d+)\.[0-9a-f]{8}\.tmp\.old$/.exec(name)?.[1];
  if (!place || !folder.rename) return folder.remove(name);
  try {
    await folder.rename(name, place);
  } catch (error) {
    // The new one is in its place: the old one is not needed any more.
    if (!isVlmError(error)) throw error;
    await folder.remove(name);
  }
}
