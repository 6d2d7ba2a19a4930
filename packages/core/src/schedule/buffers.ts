/** The buffers of a schedule, and which nodes' elements they hold. */
import type { BufferSpec } from "../ir/kernel.ts";
import { sizeOf } from "../shape.ts";
import type { Grouping } from "./grouping.ts";

export class Buffers {
  readonly specs: BufferSpec[] = [];
  readonly #of = new Map<number, number>();
  readonly #grouping: Grouping;

  constructor(grouping: Grouping) {
    this.#grouping = grouping;
  }

  /** The node whose buffer holds this one's elements. */
  base(at: number): number {
    const { aliases } = this.#grouping;
    let base = aliases.get(at);
    while (base !== undefined) {
      at = base;
      base = aliases.get(at);
    }
    return at;
  }

  /** The buffer that holds a node's elements. */
  of(at: number): number | undefined {
    return this.#of.get(this.base(at));
  }

  /** A new buffer for a node's elements. */
  give(at: number, role: BufferSpec["role"], position: number): void {
    this.#of.set(at, this.add(at, role, position));
  }

  /** A new buffer with room for a node's elements. */
  add(at: number, role: BufferSpec["role"], position: number): number {
    const { dtype, shape } = this.#grouping.node(at);
    return this.specs.push({ dtype, size: sizeOf(shape), role, position }) - 1;
  }
}
