import { VlmError } from "@vlm/core";
import type { ByteSource } from "../bytes/byte-source.ts";
import { readRanges } from "../bytes/read-ranges.ts";
import { foreignFormat } from "./foreign-format.ts";
import { malformed, parseHeader, type SafetensorsHeader, type TensorEntry } from "./header.ts";
import type { TensorStore } from "./tensor-store.ts";
import { unknownTensor } from "./unknown-tensor.ts";

export type HeaderOptions = {
  /** Refuse headers above this many bytes; default 25 MB, at most 100 MB as in the reference. */
  maxHeaderBytes?: number;
  signal?: AbortSignal | undefined;
};

const DEFAULT_HEADER_LIMIT = 25_000_000;
const HARD_HEADER_LIMIT = 100_000_000;

/** One safetensors file whose header has been read and checked. Tensors are read by range, when asked for. */
export class SafetensorsFile implements TensorStore {
  readonly source: ByteSource;
  readonly #header: SafetensorsHeader;

  private constructor(source: ByteSource, header: SafetensorsHeader) {
    this.source = source;
    this.#header = header;
  }

  /** Reads the header. Throws `WeightFormatError` with an `ST_` code, or what the source throws. */
  static async open(source: ByteSource, options: HeaderOptions = {}): Promise<SafetensorsFile> {
    const { name, size } = source;
    const { signal } = options;
    if (size < 8)
      throw malformed("ST_TOO_SHORT", `the file is ${size} bytes, a header needs at least 8`, name, { size });
    const start = await source.read(0, Math.min(size, 8), signal);
    const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
    const limit = Math.min(options.maxHeaderBytes ?? DEFAULT_HEADER_LIMIT, HARD_HEADER_LIMIT);
    if (length > BigInt(limit)) throw foreignFormat(start, name) ?? tooLarge(length, limit, name);
    if (length > BigInt(size - 8)) {
      const what = `the header should have ${length} bytes, the whole file has ${size}`;
      throw malformed("ST_HEADER_LENGTH", what, name, { length: Number(length), size });
    }
    const end = 8 + Number(length);
    return new SafetensorsFile(source, parseHeader(await source.read(8, end, signal), size, name));
  }

  get name(): string {
    return this.source.name;
  }

  get tensors(): ReadonlyMap<string, TensorEntry> {
    return this.#header.tensors;
  }

  /** The strings under `__metadata__`. */
  get metadata(): ReadonlyMap<string, string> {
    return this.#header.metadata;
  }

  async read(names: readonly string[], signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>[]> {
    const ranges = names.map((name) => this.tensors.get(name) ?? unknownTensor(name, this));
    return readRanges(this.source, ranges, signal);
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.source.close?.();
  }
}

function tooLarge(length: bigint, limit: number, file: string): VlmError {
  return new VlmError("WeightFormatError", "ST_HEADER_TOO_LARGE", {
    what: `the header should have ${length} bytes, at most ${limit} are read`,
    where: file,
    hint: `if the file is sound, raise maxHeaderBytes (up to ${HARD_HEADER_LIMIT})`,
    details: { length, limit },
  });
}
