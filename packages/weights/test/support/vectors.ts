/** A safetensors file from a header (an object, or its exact text or bytes) and data. */
export function file(header: object | string | Uint8Array, data: Uint8Array | number = 0, length?: bigint): Uint8Array {
  const text =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const out = new Uint8Array(8 + text.length + body.length);
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  out.set(text, 8);
  out.set(body, 8 + text.length);
  return out;
}

/** An entry of a header. */
export const entry = (dtype: string, shape: readonly unknown[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

/** The text of a header with one tensor "a" whose shape is given as text. */
export const withShape = (shape: string, offsets = "[0,4]"): string =>
  `{"a":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}}`;
