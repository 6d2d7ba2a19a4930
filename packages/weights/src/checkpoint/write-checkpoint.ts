import { isVlmError, printable, VlmError } from "@vlm/core";
import { sha256 } from "../bytes/hash.ts";
import { encodeSafetensors, type NamedTensors } from "../safetensors/write-safetensors.ts";
import type { Content, OutputFolder } from "../store/output-folder.ts";
import { FORMAT, MANIFEST, type Manifest, stepName, stepOf, verify } from "./manifest.ts";

/**
 * What a checkpoint holds, by file name: tensors for names that end in `.safetensors`, otherwise an object that is
 * written as JSON.
 */
export type CheckpointFiles = Readonly<Record<string, NamedTensors | object>>;

/**
 * Writes a checkpoint so that it exists whole or not at all, whatever happens meanwhile: into a temporary folder,
 * every file synced, the manifest last, then renamed. Older ones beyond `keep` are removed only after the new one was
 * read back. Throws `StorageError`; what was there before stays.
 */
export async function writeCheckpoint(
  folder: OutputFolder,
  step: number,
  files: CheckpointFiles,
  { keep = 3, signal }: { keep?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  if (!Number.isSafeInteger(step) || step < 0 || step > 1e15) {
    throw new VlmError("ArgumentError", "CK_STEP", { what: `step ${step} is not a whole number from 0 to 1e15` });
  }
  const encoded = Object.entries(files).map(([name, value]) => [name, encode(name, value)] as const);
  const name = stepName(step);
  // Storage without rename writes in place: a folder without manifest does not count.
  const draft = folder.rename ? `${name}.${crypto.randomUUID().slice(0, 8)}.tmp` : name;
  const needed = encoded.reduce((sum, [, file]) => sum + (file.size ?? 0), 0);
  try {
    signal?.throwIfAborted();
    await refuseIfFull(folder, needed);
    if (!folder.rename) await folder.remove(`${name}/${MANIFEST}`);
    const written: Record<string, { size: number; sha256: string }> = {};
    for (const [file, { content }] of encoded)
      written[file] = await writeHashed(folder, `${draft}/${file}`, content, signal);
    const manifest: Manifest = { format: FORMAT, step, created: new Date().toISOString(), files: written };
    const text = new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
    await folder.write(`${draft}/${MANIFEST}`, () => [text]);
    if (folder.rename) {
      // A checkpoint of this very step can be there when a run was resumed from an older one.
      const old = `${draft}.old`;
      const exists = (await folder.list("")).includes(name);
      if (exists) await folder.rename(name, old);
      await folder.rename(draft, name);
      if (exists) await folder.remove(old);
    }
  } catch (error) {
    await folder.remove(draft).catch(() => {});
    throw error;
  }
  await verify(folder, name, signal);
  const pointer = new TextEncoder().encode(`${name}\n`);
  await folder.write("latest", () => [pointer]);
  await prune(folder, step, keep);
  return name;
}

/** Removes checkpoints beyond the newest `keep`, and what killed runs left behind. The one of `step` always stays. */
async function prune(folder: OutputFolder, step: number, keep: number): Promise<void> {
  const names = await folder.list("");
  const steps = names.map(stepOf).filter((n) => n !== undefined);
  const older = steps.filter((n) => n !== step).sort((a, b) => b - a);
  const doomed = older.slice(Math.max(keep - 1, 0)).map(stepName);
  for (const name of [...doomed, ...names.filter(isLeftover)]) await folder.remove(name);
}

/** True for what a write that was killed leaves behind. */
export const isLeftover = (name: string): boolean =>
  /^step-\d+\.[0-9a-f]{8}\.tmp(\.old)?$/.test(name) || /^latest\.[0-9a-f]{8}\.tmp$/.test(name);

type Encoded = { content: Content; size: number | undefined };

function encode(name: string, value: NamedTensors | object): Encoded {
  if (!/^[\w-][\w.-]*$/.test(name) || name === MANIFEST) {
    throw new VlmError("ArgumentError", "CK_FILE", { what: `"${name}" is no name for a file of a checkpoint` });
  }
  if (name.endsWith(".safetensors")) {
    const { size, chunks } = encodeSafetensors(value as NamedTensors);
    return { size, content: chunks };
  }
  const text = new TextEncoder().encode(`${JSON.stringify(value, refuseLoss(name))}\n`);
  return { size: text.length, content: () => [text] };
}

/** JSON would turn NaN and infinities into null: a state that comes back different is refused instead. */
function refuseLoss(file: string): (key: string, value: unknown) => unknown {
  return (key, value) => {
    if (typeof value !== "number" || Number.isFinite(value)) return value;
    throw new VlmError("ArgumentError", "CK_JSON", {
      what: `${printable(key)} is ${value}, which JSON cannot hold`,
      where: file,
      hint: "keep it in a tensor, or as a string",
    });
  };
}

async function writeHashed(folder: OutputFolder, path: string, content: Content, signal: AbortSignal | undefined) {
  let result = { size: 0, sha256: "" };
  await folder.write(path, async function* () {
    const hash = await sha256();
    let size = 0;
    for await (const chunk of content()) {
      signal?.throwIfAborted();
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
    result = { size, sha256: hash.hex() };
  });
  return result;
}

/** Says before the work that there is no room for it. */
async function refuseIfFull(folder: OutputFolder, needed: number): Promise<void> {
  const free = await folder.free().catch((error) => {
    if (isVlmError(error)) return undefined;
    throw error;
  });
  if (free === undefined || free >= needed) return;
  throw new VlmError("StorageError", "ENOSPC", {
    what: `the checkpoint needs ${needed} bytes, ${free} are free`,
    where: folder.name,
    hint: "free some space, or keep fewer checkpoints",
    details: { needed, free },
    recoverable: true,
  });
}
