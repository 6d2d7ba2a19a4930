import type { MergeTable } from "./merge-table.ts";

/**
 * Byte pair encoding of one word: always the adjacent pair of lowest rank, leftmost first. Works in place on `symbols`
 * and `sizes` (how many original symbols each covers) and returns how many are left. Short words are scanned again
 * after each merge; long ones use a heap over a linked list, O(n log n).
 */
export function mergeSymbols(symbols: Int32Array, sizes: Int32Array, count: number, merges: MergeTable): number {
  return count <= 24 ? mergeShort(symbols, sizes, count, merges) : mergeLong(symbols, sizes, count, merges);
}

const ranks = new Int32Array(25);
const NONE = 0x7fffffff;

function mergeShort(symbols: Int32Array, sizes: Int32Array, length: number, merges: MergeTable): number {
  let count = length;
  const rankAt = (i: number): number => {
    const slot = merges.find(symbols[i]!, symbols[i + 1]!);
    return slot < 0 ? NONE : merges.rank(slot);
  };
  for (let i = 0; i + 1 < count; i++) ranks[i] = rankAt(i);
  for (;;) {
    let best = NONE;
    let at = -1;
    for (let i = 0; i + 1 < count; i++) {
      if (ranks[i]! < best) {
        best = ranks[i]!;
        at = i;
      }
    }
    if (at < 0) return count;
    symbols[at] = merges.result(merges.find(symbols[at]!, symbols[at + 1]!));
    sizes[at]! += sizes[at + 1]!;
    count--;
    for (let i = at + 1; i < count; i++) {
      symbols[i] = symbols[i + 1]!;
      sizes[i] = sizes[i + 1]!;
      ranks[i] = ranks[i + 1]!;
    }
    if (at + 1 < count) ranks[at] = rankAt(at);
    if (at > 0) ranks[at - 1] = rankAt(at - 1);
  }
}

/** Positions below 2^26: the key of a heap entry holds rank and position in one double. */
const POSITIONS = 0x4000000;

function mergeLong(symbols: Int32Array, sizes: Int32Array, count: number, merges: MergeTable): number {
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  const heap = new Heap(count + 16);
  const offer = (at: number) => {
    const right = next[at]!;
    if (right < 0) return;
    const slot = merges.find(symbols[at]!, symbols[right]!);
    if (slot >= 0) heap.push(merges.rank(slot) * POSITIONS + at, merges.result(slot));
  };
  for (let i = 0; i < count; i++) {
    next[i] = i + 1 < count ? i + 1 : -1;
    previous[i] = i - 1;
  }
  for (let i = 0; i + 1 < count; i++) offer(i);
  while (heap.size > 0) {
    const at = heap.topKey % POSITIONS;
    const result = heap.topValue;
    heap.pop();
    const right = next[at]!;
    if (sizes[at] === 0 || right < 0) continue;
    const slot = merges.find(symbols[at]!, symbols[right]!);
    // The entry is out of date when the pair at its position has changed since.
    if (slot < 0 || merges.result(slot) !== result) continue;
    symbols[at] = result;
    sizes[at]! += sizes[right]!;
    sizes[right] = 0;
    const after = next[right]!;
    next[at] = after;
    if (after >= 0) previous[after] = at;
    if (previous[at]! >= 0) offer(previous[at]!);
    offer(at);
  }
  let kept = 0;
  for (let i = 0; i >= 0; i = next[i]!) {
    symbols[kept] = symbols[i]!;
    sizes[kept++] = sizes[i]!;
  }
  return kept;
}

/** Binary min-heap of (key, value) in typed arrays. */
class Heap {
  #keys: Float64Array;
  #values: Int32Array;
  size = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
    this.#values = new Int32Array(capacity);
  }

  get topKey(): number {
    return this.#keys[0]!;
  }

  get topValue(): number {
    return this.#values[0]!;
  }

  push(key: number, value: number): void {
    if (this.size === this.#keys.length) {
      const keys = new Float64Array(this.size * 2);
      keys.set(this.#keys);
      this.#keys = keys;
      const values = new Int32Array(this.size * 2);
      values.set(this.#values);
      this.#values = values;
    }
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#keys[parent]! <= key) break;
      this.#keys[i] = this.#keys[parent]!;
      this.#values[i] = this.#values[parent]!;
      i = parent;
    }
    this.#keys[i] = key;
    this.#values[i] = value;
  }

  pop(): void {
    const last = --this.size;
    const key = this.#keys[last]!;
    const value = this.#values[last]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#keys[child + 1]! < this.#keys[child]!) child++;
      if (this.#keys[child]! >= key) break;
      this.#keys[i] = this.#keys[child]!;
      this.#values[i] = this.#values[child]!;
      i = child;
    }
    this.#keys[i] = key;
    this.#values[i] = value;
  }
}
