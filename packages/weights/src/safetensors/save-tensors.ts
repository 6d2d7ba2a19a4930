import { type FolderLike, openFolder } from "../store/open-folder.ts";
import type { Content, OutputFolder } from "../store/output-folder.ts";
import { bitsOf } from "./stored-dtype.ts";
import { contentOf, type TensorContent } from "./tensor-content.ts";
import { encodeSafetensors, type NamedTensors } from "./write-safetensors.ts";

/** Options of `saveTensors`. */
export type SaveTensorsOptions = {
  /** Strings under `__metadata__`; `format` is "pt" unless given, which Hugging Face's loaders ask for. */
  metadata?: Readonly<Record<string, string>> | undefined;
  /** Split into files of at most this many bytes; default 5 GB. */
  shardSize?: number | undefined;
  /** Base of the file names; default "model". */
  name?: string | undefined;
  signal?: AbortSignal | undefined;
};

/** What was written. */
export type Saved = { readonly files: readonly string[]; readonly bytes: number };

/**
 * Writes `model.safetensors`, or shards with `model.safetensors.index.json`, and `extra` files. Everything is written
 * beside its place and synced, then renamed, index last: a model that is there stays whole until the new one is.
 */
export async function saveTensors(
  folder: FolderLike,
  tensors: NamedTensors,
  options: SaveTensorsOptions = {},
  extra: Readonly<Record<string, string>> = {},
): Promise<Saved> {
  const out = await openFolder(folder);
  const base = options.name ?? "model";
  const metadata = { format: "pt", ...options.metadata };
  const shards = split(
    [...tensors].map(([name, tensor]) => [name, contentOf(tensor)]),
    options.shardSize ?? 5e9,
  );
  const files: [string, Content][] = [];
  const weightMap: Record<string, string> = {};
  let bytes = 0;
  for (const [i, shard] of shards.entries()) {
    const number = (n: number): string => String(n).padStart(5, "0");
    const file =
      shards.length === 1 ? `${base}.safetensors` : `${base}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    const encoded = encodeSafetensors(shard, metadata);
    for (const [name] of shard) Object.defineProperty(weightMap, name, { value: file, enumerable: true });
    files.push([file, () => encoded.chunks()]);
    bytes += encoded.size;
  }
  const text =
    (content: string): Content =>
    () => [new TextEncoder().encode(content)];
  for (const [name, content] of Object.entries(extra)) files.push([name, text(content)]);
  if (shards.length > 1) {
    const index = { metadata: { total_size: bytes }, weight_map: weightMap };
    files.push([`${base}.safetensors.index.json`, text(`${JSON.stringify(index, null, 2)}\n`)]);
  }
  await writeTogether(out, files, options.signal);
  // A file left over from a save of another shape would be found before these.
  await out.remove(shards.length > 1 ? `${base}.safetensors` : `${base}.safetensors.index.json`);
  return { files: files.map(([name]) => name), bytes };
}

/** Writes files so that none replaces what is there before all are written. */
async function writeTogether(
  out: OutputFolder,
  files: [string, Content][],
  signal: AbortSignal | undefined,
): Promise<void> {
  const id = crypto.randomUUID().slice(0, 8);
  const drafts: string[] = [];
  try {
    for (const [name, content] of files) {
      signal?.throwIfAborted();
      // Without rename each file is still whole, but the set is not: the index, last, tells a complete one.
      const draft = out.rename ? `${name}.${id}.new` : name;
      drafts.push(draft);
      await out.write(draft, content);
    }
    if (out.rename) for (const [i, [name]] of files.entries()) await out.rename(drafts[i]!, name);
  } catch (error) {
    if (out.rename) for (const draft of drafts) await out.remove(draft).catch(() => {});
    throw error;
  }
}

function split(tensors: (readonly [string, TensorContent])[], limit: number): (readonly [string, TensorContent])[][] {
  const shards: (readonly [string, TensorContent])[][] = [[]];
  let filled = 0;
  for (const entry of tensors) {
    const size = (entry[1].shape.reduce((product, n) => product * n, 1) * bitsOf(entry[1].dtype)) / 8;
    if (filled > 0 && filled + size > limit) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(entry);
    filled += size;
  }
  return shards;
}
