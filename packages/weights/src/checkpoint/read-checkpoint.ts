import { isVlmError } from "@vlm/core";
import { readAll } from "../bytes/byte-source.ts";
import type { JsonValue } from "../json/json-scanner.ts";
import { parseJson } from "../json/read-json.ts";
import { SafetensorsFile } from "../safetensors/safetensors-file.ts";
import type { TensorStore } from "../safetensors/tensor-store.ts";
import { type FolderLike, openFolder } from "../store/open-folder.ts";
import type { OutputFolder } from "../store/output-folder.ts";
import { checkpointError, stepOf, verify } from "./manifest.ts";

/** A checkpoint whose every byte was compared with its manifest. */
export type Checkpoint = {
  readonly name: string;
  readonly step: number;
  readonly files: readonly string[];
  /** Newer checkpoints that are damaged and were passed over, with the reason. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** A small JSON file of the checkpoint. */
  json(file: string): Promise<JsonValue>;
  /** Opens a file of tensors; close it after use. `load` takes it as a source. */
  tensors(file: string): Promise<TensorStore>;
};

/** Options of `readCheckpoint`. */
export type ReadCheckpointOptions = {
  signal?: AbortSignal | undefined;
  /** Hears of damaged checkpoints that were passed over. Default `console.warn`. */
  onWarning?: ((message: string) => void) | undefined;
};

/**
 * The newest checkpoint of a folder that is whole, or undefined where there is none at all. Damaged ones are passed
 * over with a warning. Throws `CheckpointError` `CK_NONE_VALID` when there are checkpoints and all are damaged: to
 * begin again at step 0 must be somebody's decision.
 */
export async function readLatestCheckpoint(
  folder: FolderLike,
  options: ReadCheckpointOptions = {},
): Promise<Checkpoint | undefined> {
  const opened = await openFolder(folder);
  const names = (await opened.list("")).filter((name) => stepOf(name) !== undefined);
  const newestFirst = names.sort((a, b) => stepOf(b)! - stepOf(a)!);
  const skipped: { name: string; reason: string }[] = [];
  for (const name of newestFirst) {
    try {
      const manifest = await verify(opened, name, options.signal);
      const found = describe(opened, name, manifest.step, Object.keys(manifest.files), skipped);
      for (const { name: bad, reason } of skipped) {
        (options.onWarning ?? console.warn)(`${bad} is damaged (${reason}); ${name} is used instead`);
      }
      return found;
    } catch (error) {
      if (!isVlmError(error)) throw error;
      skipped.push({ name, reason: error.message.split("\n")[0]! });
    }
  }
  // Without rename a killed write leaves a folder without manifest: alone, it means that nothing was ever finished.
  const onlyUnfinished = !opened.rename && skipped.every(({ reason }) => reason.includes("CK_MANIFEST"));
  if (skipped.length === 0 || onlyUnfinished) return undefined;
  throw checkpointError(
    "CK_NONE_VALID",
    `none of ${skipped.length} checkpoints is whole; ${skipped[0]!.name}: ${skipped[0]!.reason}`,
    opened.name,
    {
      hint: "restore one from a backup, or move the folder away to start again",
      details: { skipped },
    },
  );
}

/** One checkpoint by its step. Throws `CheckpointError` when it is missing or damaged. */
export async function readCheckpoint(
  folder: FolderLike,
  name: string,
  options: ReadCheckpointOptions = {},
): Promise<Checkpoint> {
  const opened = await openFolder(folder);
  const manifest = await verify(opened, name, options.signal);
  return describe(opened, name, manifest.step, Object.keys(manifest.files), []);
}

function describe(
  folder: OutputFolder,
  name: string,
  step: number,
  files: string[],
  skipped: Checkpoint["skipped"],
): Checkpoint {
  const open = (file: string) => {
    if (files.includes(file)) return folder.open(`${name}/${file}`);
    throw checkpointError(
      "CK_MISSING",
      `the checkpoint has no file ${file}; it has ${files.join(", ")}`,
      `${folder.name}/${name}`,
    );
  };
  return {
    name,
    step,
    files,
    skipped,
    async json(file) {
      const source = await open(file);
      try {
        return parseJson(await readAll(source, 1 << 30), source.name);
      } finally {
        await source.close?.();
      }
    },
    tensors: async (file) => SafetensorsFile.open(await open(file)),
  };
}
