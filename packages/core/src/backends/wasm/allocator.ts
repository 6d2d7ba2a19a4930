import { VlmError } from "../../errors.ts";

const PAGE = 65536;
const ALIGNMENT = 64;

/**
 * Allocates ranges of one WebAssembly memory. A freed range waits to be given out again for the same size, which in a
 * training loop is what happens next; when there is none, all that wait are given back: neighbours that are both free
 * become one, and the smallest that is large enough is split. Addresses are multiples of 64.
 */
export class Allocator {
  readonly memory: WebAssembly.Memory;
  private readonly maximumPages: number;
  /** End of the part in use so far. */
  private top: number;
  /** Free ranges: size by address, address by end, and addresses by size with the sizes in order. */
  private readonly sizes = new Map<number, number>();
  private readonly ends = new Map<number, number>();
  private readonly bins = new Map<number, Set<number>>();
  private order: number[] = [];
  private readonly live = new Map<number, number>();
  /** Freed ranges that are not yet joined to their neighbours: addresses by size. */
  private waiting = new Map<number, number[]>();
  /** Bytes given out now, and at most so far. */
  private inUse = 0;
  private peak = 0;

  constructor(memory: WebAssembly.Memory, reserved: number, maximumPages: number) {
    this.memory = memory;
    this.top = reserved;
    this.maximumPages = maximumPages;
  }

  /** Bytes that an allocation of `bytes` takes. */
  static rounded(bytes: number): number {
    return Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  }

  /** The address of `bytes` bytes, not cleared. Throws `OutOfMemoryError`. */
  allocate(bytes: number): number {
    const size = Allocator.rounded(bytes);
    let address = this.waiting.get(size)?.pop();
    if (address === undefined) {
      this.join();
      address = this.find(size);
    }
    this.live.set(address, size);
    this.inUse += size;
    this.peak = Math.max(this.peak, this.inUse);
    return address;
  }

  free(address: number): void {
    const size = this.live.get(address);
    if (size === undefined) {
      throw new VlmError("DisposedError", "WASM_DOUBLE_FREE", {
        what: `wasm: no allocation lies at ${address}`,
        hint: "a buffer may be freed once",
      });
    }
    this.live.delete(address);
    this.inUse -= size;
    const waiting = this.waiting.get(size);
    if (waiting) waiting.push(address);
    else this.waiting.set(size, [address]);
  }

  private find(size: number): number {
    const fit = this.bins.has(size) ? size : this.order[this.firstAtLeast(size)];
    let address: number;
    if (fit !== undefined) {
      address = this.bins.get(fit)!.values().next().value!;
      this.take(address, fit);
      if (fit > size) this.give(address + size, fit - size);
    } else {
      address = this.top;
      this.grow(address + size, size);
      this.top = address + size;
    }
    return address;
  }

  /** Gives back all ranges that wait. */
  private join(): void {
    const { waiting } = this;
    this.waiting = new Map();
    for (const [size, addresses] of waiting) for (const address of addresses) this.giveBack(address, size);
  }

  private giveBack(address: number, bytes: number): void {
    let size = bytes;
    let start = address;
    const before = this.ends.get(address);
    if (before !== undefined) {
      const length = this.sizes.get(before)!;
      this.take(before, length);
      start = before;
      size += length;
    }
    const after = this.sizes.get(start + size);
    if (after !== undefined) {
      this.take(start + size, after);
      size += after;
    }
    if (start + size === this.top) this.top = start;
    else this.give(start, size);
  }

  private firstAtLeast(size: number): number {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.order[middle]! < size) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private take(address: number, size: number): void {
    this.sizes.delete(address);
    this.ends.delete(address + size);
    const bin = this.bins.get(size)!;
    bin.delete(address);
    if (bin.size > 0) return;
    this.bins.delete(size);
    this.order.splice(this.firstAtLeast(size), 1);
  }

  private give(address: number, size: number): void {
    this.sizes.set(address, size);
    this.ends.set(address + size, address);
    const bin = this.bins.get(size);
    if (bin) bin.add(address);
    else {
      this.bins.set(size, new Set([address]));
      this.order.splice(this.firstAtLeast(size), 0, size);
    }
  }

  private grow(end: number, bytes: number): void {
    const pages = Math.ceil(end / PAGE);
    const now = this.memory.buffer.byteLength / PAGE;
    if (pages <= now) return;
    // By a quarter at least, so that growth is rare; if that much is not to be had, by what is needed.
    const wanted = Math.min(this.maximumPages, Math.max(pages, Math.ceil(now * 1.25)));
    for (const target of [wanted, pages]) {
      if (target < pages || target > this.maximumPages) continue;
      try {
        this.memory.grow(target - now);
        return;
      } catch {
        // Tried again with less, then reported.
      }
    }
    const { inUse, peak } = this;
    throw new VlmError("OutOfMemoryError", "WASM_MEMORY", {
      what: `wasm: no memory for ${bytes} bytes; ${inUse} are in use (at most ${peak} so far), ${now * PAGE} held, and no more can be had`,
      hint: "use smaller batches or a narrower dtype, dispose of tensors, or use the webgpu device",
      details: { bytes, inUse, peak, held: now * PAGE, limit: this.maximumPages * PAGE },
      recoverable: true,
    });
  }
}
