import { fromHost, type Tensor } from "@vlm/core";
import { toHost } from "../convert/host-data.ts";
import { openWeights, type WeightsOptions } from "../safetensors/open-weights.ts";
import { memoryDType } from "../safetensors/stored-dtype.ts";
import type { TensorStore } from "../safetensors/tensor-store.ts";
import type { SourceLike } from "../source/open-source.ts";
import { refuseBadBool } from "./load.ts";

/** Options of `readTensors`. */
export type ReadTensorsOptions = WeightsOptions & {
  /** Only these tensors; default: all. */
  names?: readonly string[] | undefined;
  /** Refuse bool bytes other than 0 and 1. */
  strict?: boolean | undefined;
};

/**
 * The tensors of a source by name, in the order of the file, without a model: f16 and bf16 keep their dtype, f64
 * becomes f32 and 64-bit integers become 32-bit ones (or `DTypeError` `ST_INTEGER_RANGE`).
 */
export async function readTensors(
  source: SourceLike | TensorStore,
  options: ReadTensorsOptions = {},
): Promise<Map<string, Tensor>> {
  const own = typeof source === "object" && "tensors" in source && "read" in source;
  const store = own ? source : await openWeights(source, options);
  try {
    const names = options.names ?? [...store.tensors.keys()];
    const parts = await store.read(names, options.signal);
    const out = new Map<string, Tensor>();
    for (const [i, name] of names.entries()) {
      const { dtype, shape } = store.tensors.get(name)!;
      if (options.strict && dtype === "BOOL") refuseBadBool(parts[i]!, name, store.name);
      out.set(name, fromHost(toHost(parts[i]!, dtype, name, store.name), shape, memoryDType(dtype, name, store.name)));
    }
    return out;
  } finally {
    if (!own) await store.close();
  }
}
