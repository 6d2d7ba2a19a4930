/**
 * Structure as numbers: a sequence of integers for each node, so that equal nodes are found without making text of them.
 * Graphs are built anew at every uncompiled step, and this is where most of that time would go.
 */
import { DTYPES } from "../dtype.ts";
import type { Attributes, Op } from "../op.ts";

const opIds = new WeakMap<Op, number>();
let opCount = 0;

function opId(op: Op): number {
  let id = opIds.get(op);
  if (id === undefined) opIds.set(op, (id = opCount++));
  return id;
}

const objectIds = new WeakMap<object, number>();
let objectCount = 0;

function objectId(value: object): number {
  let id = objectIds.get(value);
  if (id === undefined) objectIds.set(value, (id = objectCount++));
  return id;
}

const dtypeIds: Readonly<Record<string, number>> = Object.fromEntries(DTYPES.map((dtype, i) => [dtype, i]));

/** What a value is, before its integers. */
const [INTEGER, FLOAT, TEXT, BOOLEAN, NOTHING, LIST, OBJECT] = [1, 2, 3, 4, 5, 6, 7] as const;

/** In front of a leaf, and after a node's attributes: no op and no name has these numbers. */
const [LEAF, END] = [-1, -2] as const;

const float = new Float64Array(1);
const halves = new Int32Array(float.buffer);

/** The signatures of one program's nodes. Texts are numbered by first appearance, so equal programs number alike. */
export class Signatures {
  #code = new Int32Array(4096);
  #length = 0;
  /** Where each entry's integers begin. */
  readonly #starts: number[] = [];
  /** Where the last entry ends. */
  #end = 0;
  #table = new Int32Array(2048);
  readonly #texts = new Map<string, number>();

  /** Position of a leaf, new or known. */
  leaf(leaf: number, dtype: string, shape: readonly number[]): number {
    this.#push(LEAF);
    this.#push(leaf);
    this.#push(dtypeIds[dtype]!);
    this.#list(shape);
    return this.#intern();
  }

  /** Position of a node, new or known. */
  node(op: Op, dtype: string, shape: readonly number[], inputs: readonly number[], attributes: Attributes): number {
    this.#push(opId(op));
    this.#push(dtypeIds[dtype]!);
    this.#list(shape);
    this.#list(inputs);
    for (const name in attributes) {
      this.#text(name);
      this.#value(attributes[name]);
    }
    this.#push(END);
    return this.#intern();
  }

  /** All of it as one text, equal only for equal programs. */
  key(outputs: readonly number[]): string {
    this.#list(outputs);
    const words = new Uint16Array(this.#code.buffer, 0, 2 * this.#length);
    let key = "";
    for (let at = 0; at < words.length; at += 8192) {
      key += String.fromCharCode.apply(null, words.subarray(at, at + 8192) as unknown as number[]);
    }
    return `${key}${JSON.stringify([...this.#texts.keys()])}`;
  }

  #push(value: number): void {
    if (this.#length === this.#code.length) {
      const longer = new Int32Array(2 * this.#length);
      longer.set(this.#code);
      this.#code = longer;
    }
    this.#code[this.#length++] = value;
  }

  #list(values: readonly number[]): void {
    this.#push(values.length);
    for (let i = 0; i < values.length; i++) this.#push(values[i]!);
  }

  #text(text: string): void {
    let id = this.#texts.get(text);
    if (id === undefined) this.#texts.set(text, (id = this.#texts.size));
    this.#push(id);
  }

  #value(value: unknown): void {
    if (typeof value === "number") {
      if ((value | 0) === value && !Object.is(value, -0)) {
        this.#push(INTEGER);
        this.#push(value);
        return;
      }
      float[0] = value;
      this.#push(FLOAT);
      this.#push(halves[0]!);
      this.#push(halves[1]!);
    } else if (Array.isArray(value)) {
      this.#push(LIST);
      this.#push(value.length);
      for (const item of value) this.#value(item);
    } else if (typeof value === "boolean") {
      this.#push(BOOLEAN);
      this.#push(value ? 1 : 0);
    } else if (value === null || value === undefined) {
      this.#push(NOTHING);
      this.#push(value === null ? 0 : 1);
    } else if (typeof value === "object" || typeof value === "function") {
      this.#push(OBJECT);
      this.#push(objectId(value));
    } else {
      this.#push(TEXT);
      this.#text(`${typeof value} ${String(value)}`);
    }
  }

  /** The position of the entry that was just written, which is taken back if there is an equal one. */
  #intern(): number {
    const length = this.#length;
    const start = this.#end;
    const mask = this.#table.length - 1;
    let slot = this.#hash(start, length) & mask;
    for (let found = this.#table[slot]!; found !== 0; found = this.#table[slot]!) {
      if (this.#equal(found - 1, start)) {
        this.#length = start;
        return found - 1;
      }
      slot = (slot + 1) & mask;
    }
    this.#starts.push(start);
    this.#end = length;
    this.#table[slot] = this.#starts.length;
    if (2 * this.#starts.length > mask) this.#grow();
    return this.#starts.length - 1;
  }

  #hash(from: number, to: number): number {
    const code = this.#code;
    let hash = to - from;
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ code[at]!, 0x9e3779b1) ^ (hash >>> 15);
    return hash ^ (hash >>> 16);
  }

  #equal(entry: number, start: number): boolean {
    const code = this.#code;
    const length = this.#length;
    const starts = this.#starts;
    const from = starts[entry]!;
    const to = starts[entry + 1] ?? this.#end;
    if (to - from !== length - start) return false;
    for (let i = 0; from + i < to; i++) if (code[from + i] !== code[start + i]) return false;
    return true;
  }

  #grow(): void {
    const starts = this.#starts;
    this.#table = new Int32Array(2 * this.#table.length);
    const mask = this.#table.length - 1;
    for (let entry = 0; entry < starts.length; entry++) {
      let slot = this.#hash(starts[entry]!, starts[entry + 1] ?? this.#end) & mask;
      while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
      this.#table[slot] = entry + 1;
    }
  }
}
