import { MergeTable } from "./merge-table.ts";

/** Trie over UTF-16 units; nodes are numbers, 0 is the root. */
export class Trie {
  readonly #children: MergeTable;
  #values: Int32Array = new Int32Array(256).fill(-1);
  #nodes = 1;

  constructor(expected: number) {
    this.#children = new MergeTable(expected * 4);
  }

  /** Sets the value of `key`, which must not be negative. */
  set(key: string, value: number): void {
    let node = 0;
    for (let i = 0; i < key.length; i++) {
      const unit = key.charCodeAt(i);
      const slot = this.#children.find(node, unit);
      if (slot >= 0) node = this.#children.result(slot);
      else {
        this.#children.set(node, unit, 0, this.#nodes);
        node = this.#nodes++;
        if (node >= this.#values.length) {
          const wider = new Int32Array(this.#values.length * 2).fill(-1);
          wider.set(this.#values);
          this.#values = wider;
        }
      }
    }
    this.#values[node] = value;
  }

  /** The child of `node` by `unit`, or -1. */
  step(node: number, unit: number): number {
    const slot = this.#children.find(node, unit);
    return slot < 0 ? -1 : this.#children.result(slot);
  }

  /** The node of a whole key, or -1. */
  walk(key: string): number {
    let node = 0;
    for (let i = 0; i < key.length && node >= 0; i++) node = this.step(node, key.charCodeAt(i));
    return node;
  }

  /** The value at `node`, or -1. */
  value(node: number): number {
    return this.#values[node]!;
  }
}
