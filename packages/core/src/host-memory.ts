/**
 * Host memory that is about to be written. A page of memory that the process did not have before costs it a fault
 * (1 to 2.5 µs for 4 kB), several times what copying into it takes.
 */
import { type DType, type HostArray, hostArrayKind } from "./dtype.ts";

/** Node's way to memory that is not cleared. */
type Uncleared = { Buffer?: { allocUnsafeSlow?: (bytes: number) => { buffer: ArrayBuffer } } };

/** glibc maps blocks from this size on anew at every allocation, and unmaps them when they are freed … */
const MAPPED = 2 ** 17;
/** … unless one as large was freed before, up to 32 MiB: from then on it keeps up to twice as much for what comes next. */
const LARGEST = 2 ** 25 - 2 ** 16;
let kept = false;
/** Node's buffers may not be larger. */
const MOST = 2 ** 32;

/** Memory with any content; all of it must be written before others see it. */
export function uncleared(bytes: number): ArrayBuffer {
  if (bytes < MAPPED || bytes > MOST) return new ArrayBuffer(bytes);
  if (!kept) {
    kept = true;
    // Never touched, so it takes no memory; the collector frees it.
    new ArrayBuffer(LARGEST);
  }
  return (globalThis as Uncleared).Buffer?.allocUnsafeSlow?.(bytes).buffer ?? new ArrayBuffer(bytes);
}

/** A host array for `size` elements of `dtype`, with any content. */
export function unclearedArray(dtype: DType, size: number): HostArray {
  const kind = hostArrayKind(dtype);
  return new kind(uncleared(size * kind.BYTES_PER_ELEMENT));
}
