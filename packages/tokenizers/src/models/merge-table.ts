/** Hash table from a pair of symbols to the rank and the result of their merge, in flat typed arrays. */
export class MergeTable {
  #slots: Int32Array;
  #mask: number;
  #size = 0;

  constructor(expected: number) {
    let capacity = 16;
    while (capacity < expected * 2) capacity *= 2;
    this.#slots = new Int32Array(capacity * 4).fill(-1);
    this.#mask = capacity - 1;
  }

  /** A pair that is set twice keeps the later rank. */
  set(left: number, right: number, rank: number, result: number): void {
    if ((this.#size + 1) * 2 > this.#mask + 1) this.#grow();
    const at = this.#find(left, right);
    if (this.#slots[at] === -1) this.#size++;
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = rank;
    this.#slots[at + 3] = result;
  }

  /** Slot of the pair for {@link rank} and {@link result}, or -1. */
  find(left: number, right: number): number {
    const at = this.#find(left, right);
    return this.#slots[at] === -1 ? -1 : at;
  }

  rank(slot: number): number {
    return this.#slots[slot + 2]!;
  }

  result(slot: number): number {
    return this.#slots[slot + 3]!;
  }

  #find(left: number, right: number): number {
    const slots = this.#slots;
    let at = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    at = (at ^ (at >>> 15)) & this.#mask;
    for (;;) {
      const slot = at * 4;
      const key = slots[slot]!;
      if (key === -1 || (key === left && slots[slot + 1] === right)) return slot;
      at = (at + 1) & this.#mask;
    }
  }

  #grow(): void {
    const old = this.#slots;
    const capacity = (this.#mask + 1) * 2;
    this.#slots = new Int32Array(capacity * 4).fill(-1);
    this.#mask = capacity - 1;
    this.#size = 0;
    for (let i = 0; i < old.length; i += 4) {
      if (old[i] !== -1) this.set(old[i]!, old[i + 1]!, old[i + 2]!, old[i + 3]!);
    }
  }
}
