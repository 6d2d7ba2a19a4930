import { printable, VlmError } from "@vlm/core";
import { bitsOf } from "./stored-dtype.ts";
import { contentOf, type TensorContent, type TensorLike } from "./tensor-content.ts";

/** Tensors by name, in the order in which they are written. */
export type NamedTensors = Iterable<readonly [name: string, tensor: TensorLike | TensorContent]>;

/** A safetensors file ready to be written: its size, and its bytes piece by piece. */
export type EncodedSafetensors = {
  readonly size: number;
  /** The file in pieces: header, then one per tensor, computed when its turn comes. */
  chunks(): AsyncGenerator<Uint8Array>;
};

/**
 * Lays out a safetensors file as the reference does: wide dtypes first, then by name, header padded to 8 bytes, so
 * that every tensor is aligned. Throws `ArgumentError` for a name used twice and for `__metadata__`.
 */
export function encodeSafetensors(
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>> = {},
): EncodedSafetensors {
  const contents = new Map<string, TensorContent>();
  for (const [name, tensor] of tensors) {
    if (contents.has(name) || name === "__metadata__") {
      throw new VlmError("ArgumentError", "ST_NAME", {
        what:
          name === "__metadata__"
            ? "no tensor can be named __metadata__"
            : `two tensors are named "${printable(name)}"`,
      });
    }
    if (/\p{Surrogate}/u.test(name))
      throw new VlmError("ArgumentError", "ST_NAME", { what: `"${printable(name)}" is no valid text` });
    contents.set(name, contentOf(tensor));
  }
  const sorted = [...contents].sort(([a, x], [b, y]) => bitsOf(y.dtype) - bitsOf(x.dtype) || (a < b ? -1 : 1));
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"__metadata__":${JSON.stringify(metadata)}`);
  const sizes: number[] = [];
  let end = 0;
  for (const [name, { dtype, shape }] of sorted) {
    const size = (shape.reduce((product, n) => product * n, 1) * bitsOf(dtype)) / 8;
    const offsets = [end, end + size];
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`);
    sizes.push(size);
    end += size;
  }
  const text = new TextEncoder().encode(`{${entries.join(",")}}`);
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(text, 8);
  return {
    size: header.length + end,
    async *chunks() {
      yield header;
      for (const [i, [name, content]] of sorted.entries()) {
        const bytes = await content.bytes();
        if (bytes.length !== sizes[i]) {
          throw new VlmError("ShapeError", "ST_SIZE", {
            what: `tensor "${printable(name)}" gave ${bytes.length} bytes, its shape and dtype need ${sizes[i]}`,
          });
        }
        yield bytes;
      }
    },
  };
}

/** A whole safetensors file in memory. For files: `saveTensors`. */
export async function safetensorsBytes(
  tensors: NamedTensors,
  metadata?: Readonly<Record<string, string>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const encoded = encodeSafetensors(tensors, metadata);
  const out = new Uint8Array(encoded.size);
  let at = 0;
  for await (const chunk of encoded.chunks()) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}
