import type { Buffer } from "../backend.ts";
import type { Allocator } from "./allocator.ts";

/** An operand of a product that a plan may find packed: which input, in which order of elements, and the room it takes. */
export type PackedOperand = { kernel: number; position: number; layout: string; bytes: number };

/** Where a run finds an operand packed, or packs it; address 0 stands for scratch memory. */
type Place = { address: number; ready: boolean };

const SCRATCH: Place = { address: 0, ready: false };

/**
 * Operands that stay packed from run to run. Whatever is multiplied a second time without having changed is taken for
 * a constant, such as a weight: that run packs it to a place of its own. What changes between runs costs nothing.
 */
export class PackedOperands {
  private readonly allocator: Allocator;
  private readonly limit: number;
  /** Addresses by layout; 0: multiplied once. */
  private readonly known = new Map<Buffer, Map<string, { address: number; bytes: number }>>();
  bytes = 0;

  /** `limit`: the most bytes that are kept. */
  constructor(allocator: Allocator, limit: number) {
    this.allocator = allocator;
    this.limit = limit;
  }

  /** Where the next run finds `buffer` packed. */
  place(buffer: Buffer, layout: string, bytes: number): Place {
    let layouts = this.known.get(buffer);
    if (!layouts) this.known.set(buffer, (layouts = new Map()));
    const entry = layouts.get(layout);
    if (!entry) layouts.set(layout, { address: 0, bytes: 0 });
    else if (entry.address > 0) return { address: entry.address, ready: true };
    else if (this.bytes + bytes <= this.limit) {
      try {
        entry.address = this.allocator.allocate(bytes);
      } catch {
        // Without the room it is packed in every run.
        return SCRATCH;
      }
      entry.bytes = bytes;
      this.bytes += bytes;
      return { address: entry.address, ready: false };
    }
    return SCRATCH;
  }

  /** The buffer has other elements now, or is gone. */
  forget(buffer: Buffer): void {
    const layouts = this.known.get(buffer);
    if (!layouts) return;
    this.known.delete(buffer);
    for (const { address, bytes } of layouts.values()) {
      if (address > 0) this.allocator.free(address);
      this.bytes -= bytes;
    }
  }

  clear(): void {
    for (const buffer of [...this.known.keys()]) this.forget(buffer);
  }
}
