import { isVlmError, VlmError } from "@vlm/core";
import { readAll } from "../bytes/byte-source.ts";
import { hashOf } from "../bytes/hash.ts";
import { parseJson } from "../json/read-json.ts";
import type { OutputFolder } from "../store/output-folder.ts";

export const MANIFEST = "manifest.json";

/** The last file written into a checkpoint: what belongs to it. A folder without it is no checkpoint. */
export type Manifest = {
  readonly format: number;
  readonly step: number;
  readonly created: string;
  readonly files: Readonly<Record<string, { readonly size: number; readonly sha256: string }>>;
};

/** The layout of checkpoints that this version writes and reads. */
export const FORMAT = 1;

export const stepName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** The step of a checkpoint folder's name. */
export function stepOf(name: string): number | undefined {
  const found = /^step-(\d{8,15})$/.exec(name);
  return found ? Number(found[1]) : undefined;
}

export const checkpointError = (
  code: string,
  what: string,
  where: string,
  more: { hint?: string; cause?: unknown; details?: Record<string, unknown> } = {},
): VlmError => new VlmError("CheckpointError", code, { what, where, ...more });

/**
 * Reads a checkpoint's manifest and compares every file with it, by size and SHA-256. Throws `CheckpointError`:
 * `CK_MANIFEST`, `CK_VERSION`, `CK_MISSING`, `CK_SIZE` or `CK_HASH`.
 */
export async function verify(folder: OutputFolder, name: string, signal?: AbortSignal): Promise<Manifest> {
  const where = `${folder.name}/${name}`;
  const manifest = await readManifest(folder, name, where);
  for (const [file, { size, sha256 }] of Object.entries(manifest.files)) {
    const source = await folder.open(`${name}/${file}`).catch((cause) => {
      if (!isAbsent(cause)) throw cause;
      throw checkpointError("CK_MISSING", `${file} cannot be opened`, where, { cause });
    });
    try {
      if (source.size !== size) {
        throw checkpointError("CK_SIZE", `${file} has ${source.size} bytes, ${size} were written`, where, {
          details: { file },
        });
      }
      const got = await hashOf(source, signal);
      if (got === sha256) continue;
      const what = `${file} is not what was written: hash ${sha256} expected, got ${got}`;
      throw checkpointError("CK_HASH", what, where, {
        hint: "the disk changed it, or files of two checkpoints were mixed",
        details: { file },
      });
    } finally {
      await source.close?.();
    }
  }
  return manifest;
}

async function readManifest(folder: OutputFolder, name: string, where: string): Promise<Manifest> {
  let value: unknown;
  try {
    const source = await folder.open(`${name}/${MANIFEST}`);
    try {
      value = parseJson(await readAll(source, 10_000_000), where);
    } finally {
      await source.close?.();
    }
  } catch (cause) {
    const unreadable = isVlmError(cause) && (isAbsent(cause) || cause.name !== "StorageError");
    if (!unreadable) throw cause;
    throw checkpointError("CK_MANIFEST", `${MANIFEST} cannot be read: the checkpoint is not complete`, where, {
      cause,
    });
  }
  const manifest = value as Partial<Manifest> | null;
  if (typeof manifest?.format === "number" && manifest.format > FORMAT) {
    throw checkpointError(
      "CK_VERSION",
      `written in format ${manifest.format}, this version reads up to ${FORMAT}`,
      where,
      {
        hint: "use a newer version of @vlm/weights",
      },
    );
  }
  const files = manifest?.files;
  const sound =
    manifest?.format === FORMAT &&
    stepOf(name) === manifest.step &&
    typeof files === "object" &&
    files !== null &&
    Object.entries(files).every(
      ([file, entry]) =>
        /^[\w.-]+$/.test(file) && Number.isSafeInteger(entry?.size) && typeof entry?.sha256 === "string",
    );
  if (!sound) throw checkpointError("CK_MANIFEST", `${MANIFEST} does not describe this checkpoint`, where);
  return manifest as Manifest;
}

const isAbsent = (error: unknown): boolean => isVlmError(error) && ["ENOENT", "ENOTDIR"].includes(error.code);
