import { VlmError } from "@vlm/core";
import { readAll } from "../bytes/byte-source.ts";
import { type ModelSource, openIfThere } from "../source/model-source.ts";
import { openSource, type SourceLike } from "../source/open-source.ts";
import type { SourceOptions } from "../source/source-options.ts";
import { isPickleName, pickleError } from "./foreign-format.ts";
import { MAX_INDEX_BYTES, parseIndex } from "./index-file.ts";
import { type HeaderOptions, SafetensorsFile } from "./safetensors-file.ts";
import { ShardedSafetensors } from "./sharded-safetensors.ts";
import type { TensorStore } from "./tensor-store.ts";

/** Where a model's tensors are, and which limits their files keep. */
export type WeightsOptions = SourceOptions &
  HeaderOptions & {
    /** Name of the weights' file or index, where it is not one of the usual ones. */
    file?: string | undefined;
  };

/** Names that weights usually have, in the order tried. */
const USUAL = [
  "model.safetensors",
  "model.safetensors.index.json",
  "open_clip_model.safetensors",
  "diffusion_pytorch_model.safetensors",
  "adapter_model.safetensors",
];

/**
 * Opens the weights of a source: one safetensors file or several with an index. Only headers are read.
 * Throws `WeightFormatError` `ST_PICKLE` where there are only pickled files, with the recipe to convert them.
 */
export async function openWeights(source: SourceLike, options: WeightsOptions = {}): Promise<TensorStore> {
  const folder = await openSource(source, options);
  const name = options.file ?? (await findWeights(folder, options.signal));
  if (isPickleName(name)) throw pickleError(name);
  const file = await folder.open(name, options.signal);
  if (!name.endsWith(".json")) {
    try {
      return await SafetensorsFile.open(file, options);
    } catch (error) {
      await file.close?.();
      throw error;
    }
  }
  let bytes: Uint8Array;
  try {
    bytes = await readAll(file, MAX_INDEX_BYTES, options.signal);
  } finally {
    await file.close?.();
  }
  const index = parseIndex(bytes, file.name);
  const prefix = name.slice(0, name.lastIndexOf("/") + 1);
  const onWarning = options.onWarning ?? console.warn;
  const open = (path: string) => folder.open(prefix + path, options.signal);
  return ShardedSafetensors.open(file.name, index, open, { ...options, onWarning });
}

async function findWeights(folder: ModelSource, signal?: AbortSignal): Promise<string> {
  const names = await folder.list(signal);
  if (names) {
    const usual = USUAL.find((name) => names.includes(name));
    if (usual) return usual;
    const top = names.filter((name) => !name.includes("/"));
    const indices = top.filter((name) => name.endsWith(".safetensors.index.json"));
    const files = top.filter((name) => name.endsWith(".safetensors"));
    const only = indices.length === 1 ? indices : files;
    if (only.length === 1) return only[0]!;
    if (only.length > 1) throw ambiguous(folder.name, only);
    const pickle = top.find(isPickleName);
    if (pickle) throw pickleError(pickle);
  } else {
    for (const name of USUAL.slice(0, 3)) {
      const file = await openIfThere(folder, name, signal);
      await file?.close?.();
      if (file) return name;
    }
  }
  throw new VlmError("WeightFormatError", "NO_WEIGHTS", {
    what: "there are no safetensors weights",
    where: folder.name,
    hint: `expected ${USUAL.slice(0, 2).join(" or ")}; name another with { file }`,
  });
}

function ambiguous(where: string, names: string[]): VlmError {
  return new VlmError("WeightFormatError", "AMBIGUOUS_WEIGHTS", {
    what: `several files could be meant: ${names.slice(0, 10).join(", ")}`,
    where,
    hint: "choose one with { file }",
    details: { names: names.slice(0, 100) },
  });
}
