import { builtin } from "./platform.ts";

let table: Uint32Array | undefined;

/** CRC-32 as in PNG and zlib; Node's own where it has one. */
export function crc32(bytes: Uint8Array): number {
  const native = (builtin("node:zlib") as { crc32?: (data: Uint8Array) => number } | undefined)?.crc32;
  if (native !== undefined) return native(bytes);
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = table[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
