import type { ByteSource } from "./byte-source.ts";

type Range = { readonly begin: number; readonly end: number };

/** Ranges closer than this are read in one go: one request costs more than some bytes too many. */
const GAP = 64 << 10;
/** Reads are joined up to this size, which bounds what is held beside the results. */
const MAX_JOINED = 64 << 20;

/**
 * Reads many ranges with few reads. Results come in the order asked for; those of one joined read share its buffer,
 * unless their offset in it is not a multiple of 8, in which case they are copied so that any typed array fits.
 */
export async function readRanges(
  source: ByteSource,
  ranges: readonly Range[],
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const out = new Array<Uint8Array<ArrayBuffer>>(ranges.length);
  const order = ranges.map((_, i) => i).sort((a, b) => ranges[a]!.begin - ranges[b]!.begin);
  for (let first = 0; first < order.length; ) {
    const begin = ranges[order[first]!]!.begin;
    let end = ranges[order[first]!]!.end;
    let last = first + 1;
    for (; last < order.length; last++) {
      const next = ranges[order[last]!]!;
      if (next.begin > end + GAP || next.end - begin > MAX_JOINED) break;
      end = Math.max(end, next.end);
    }
    const joined = await source.read(begin, end, signal);
    for (const index of order.slice(first, last)) {
      const range = ranges[index]!;
      const part = joined.subarray(range.begin - begin, range.end - begin);
      out[index] = part.byteOffset % 8 === 0 ? part : part.slice();
    }
    first = last;
  }
  return out;
}
