import { printable, VlmError } from "@vlm/core";
import type { ByteSource } from "../bytes/byte-source.ts";
import type { TensorEntry } from "./header.ts";
import type { ShardIndex } from "./index-file.ts";
import { type HeaderOptions, SafetensorsFile } from "./safetensors-file.ts";
import type { TensorStore } from "./tensor-store.ts";
import { unknownTensor } from "./unknown-tensor.ts";

export type ShardOptions = HeaderOptions & {
  /** Told about tensors that lie in a shard without being listed; they are not used. */
  onWarning?: ((message: string) => void) | undefined;
};

/** How many shards are opened at a time: enough to hide latency, few enough for any server. */
const PARALLEL = 4;

/** A model in several files with an index. Every header is read and compared with the index before anything else. */
export class ShardedSafetensors implements TensorStore {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #files: ReadonlyMap<string, SafetensorsFile>;
  readonly #index: ShardIndex;

  private constructor(name: string, index: ShardIndex, files: ReadonlyMap<string, SafetensorsFile>) {
    this.name = name;
    this.#index = index;
    this.#files = files;
    const tensors = [...index.shardOf].map(([key, shard]) => [key, files.get(shard)!.tensors.get(key)!] as const);
    this.tensors = new Map(tensors);
    this.metadata = files.values().next().value?.metadata ?? new Map();
  }

  /**
   * Opens every shard. Throws `WeightMismatchError`: `IX_WRONG_SHARD` for a tensor that lies in another shard than the
   * index says, `IX_MISSING` for one that lies in none, `IX_DUPLICATE` for one that lies in two.
   */
  static async open(
    name: string,
    index: ShardIndex,
    openShard: (path: string) => Promise<ByteSource>,
    options: ShardOptions = {},
  ): Promise<ShardedSafetensors> {
    const files = new Map<string, SafetensorsFile>();
    const close = () => Promise.all([...files.values()].map((file) => file.close()));
    const queue = [...index.shards];
    const worker = async (): Promise<void> => {
      for (let shard = queue.shift(); shard !== undefined; shard = queue.shift()) {
        const source = await openShard(shard).catch((cause) => {
          throw shardMissing(cause, shard!, index);
        });
        try {
          files.set(shard, await SafetensorsFile.open(source, options));
        } catch (error) {
          await source.close?.();
          throw error;
        }
      }
    };
    const outcomes = await Promise.allSettled(
      Array.from({ length: PARALLEL }, () =>
        worker().catch((error) => {
          queue.length = 0;
          throw error;
        }),
      ),
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    try {
      if (failed) throw failed.reason;
      compare(name, index, files, options.onWarning);
    } catch (error) {
      await close();
      throw error;
    }
    return new ShardedSafetensors(name, index, files);
  }

  async read(names: readonly string[], signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>[]> {
    const out = new Array<Uint8Array<ArrayBuffer>>(names.length);
    const perShard = new Map<string, number[]>();
    names.forEach((name, i) => {
      const shard = this.#index.shardOf.get(name) ?? unknownTensor(name, this);
      const list = perShard.get(shard);
      if (list) list.push(i);
      else perShard.set(shard, [i]);
    });
    for (const [shard, indices] of perShard) {
      const parts = await this.#files.get(shard)!.read(
        indices.map((i) => names[i]!),
        signal,
      );
      for (const [k, i] of indices.entries()) out[i] = parts[k]!;
    }
    return out;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()));
  }
}

function compare(
  name: string,
  index: ShardIndex,
  files: ReadonlyMap<string, SafetensorsFile>,
  onWarning: ((message: string) => void) | undefined,
): void {
  const holder = new Map<string, string>();
  const unlisted: string[] = [];
  for (const [shard, file] of files) {
    for (const key of file.tensors.keys()) {
      const other = holder.get(key);
      if (other !== undefined) {
        throw mismatch("IX_DUPLICATE", `"${printable(key)}" lies in both ${other} and ${shard}`, name, {
          tensor: key,
          shards: [other, shard],
        });
      }
      holder.set(key, shard);
      if (!index.shardOf.has(key)) unlisted.push(key);
    }
  }
  for (const [key, shard] of index.shardOf) {
    const real = holder.get(key);
    if (real === undefined) {
      throw mismatch("IX_MISSING", `"${printable(key)}" is listed in ${shard} but lies in no shard`, name, {
        tensor: key,
        shard,
      });
    }
    if (real !== shard) {
      const what = `"${printable(key)}" is listed in ${shard} but lies in ${real}`;
      throw mismatch("IX_WRONG_SHARD", what, name, { tensor: key, listed: shard, found: real });
    }
  }
  if (unlisted.length > 0) {
    const list = unlisted.slice(0, 5).map((key) => `"${printable(key)}"`);
    onWarning?.(`${name}: ${unlisted.length} tensors lie in a shard but are not listed: ${list.join(", ")}`);
  }
}

function mismatch(code: string, what: string, where: string, details: Record<string, unknown>): VlmError {
  return new VlmError("WeightMismatchError", code, {
    what,
    where,
    hint: "download index and shards of the same version",
    details,
  });
}

/** Adds to the error of a missing shard what was expected in it. */
function shardMissing(cause: unknown, shard: string, index: ShardIndex): unknown {
  const code = (cause as { code?: unknown } | null)?.code;
  if (!(cause instanceof Error) || (code !== "ENOENT" && code !== "HTTP_404")) return cause;
  const held = [...index.shardOf].filter(([, path]) => path === shard).map(([key]) => key);
  const first = held.slice(0, 5);
  return new VlmError(cause.name === "NetworkError" ? "NetworkError" : "StorageError", code, {
    what: `shard ${shard} is missing; it should hold ${held.length} tensors: ${first.map((key) => `"${printable(key)}"`).join(", ")}${held.length > 5 ? ", …" : ""}`,
    where: shard,
    hint: "download the model again",
    details: { shard, tensors: first, count: held.length },
    cause,
  });
}
