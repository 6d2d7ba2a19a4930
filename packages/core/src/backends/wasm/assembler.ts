/** Writes WebAssembly binaries: functions as byte lists, a module around them. */
import { I32, op, V128, v } from "./opcodes.ts";

function unsigned(value: number, out: number[] = []): number[] {
  let rest = value >>> 0;
  for (; rest > 127; rest >>>= 7) out.push((rest & 127) | 128);
  out.push(rest);
  return out;
}

function signed(value: number, out: number[]): void {
  let rest = value | 0;
  for (; rest < -64 || rest > 63; rest >>= 7) out.push((rest & 127) | 128);
  out.push(rest & 127);
}

const text = (name: string): number[] => [...unsigned(name.length), ...[...name].map((c) => c.charCodeAt(0))];

const list = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];

const bits = new DataView(new ArrayBuffer(4));

/** The bits of a number as f32. */
export function floatBits(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}

/** One function's code. Instructions are written in stack order; every method returns the builder. */
export class Code {
  readonly bytes: number[] = [];
  private readonly types: number[] = [];
  private readonly parameters: number;

  constructor(parameters: number) {
    this.parameters = parameters;
  }

  /** A new local; i32 unless told. */
  local(type: number = I32): number {
    return this.parameters + this.types.push(type) - 1;
  }

  /** A new v128 local. */
  vector(): number {
    return this.local(V128);
  }

  private push(...bytes: number[]): number[] {
    this.bytes.push(...bytes);
    return this.bytes;
  }

  op(...codes: number[]): this {
    for (const code of codes) {
      if (code < 256) this.bytes.push(code);
      else unsigned(code & 4095, this.push(code >> 12));
    }
    return this;
  }

  get(...locals: number[]): this {
    for (const local of locals) unsigned(local, this.push(0x20));
    return this;
  }

  set(local: number): this {
    unsigned(local, this.push(0x21));
    return this;
  }

  tee(local: number): this {
    unsigned(local, this.push(0x22));
    return this;
  }

  /** Pops into a new local and gives its number. */
  keep(type: number = I32): number {
    const local = this.local(type);
    this.set(local);
    return local;
  }

  i32(value: number): this {
    signed(value, this.push(0x41));
    return this;
  }

  /** A 64-bit constant; only values that fit 32 bits. */
  i64(value: number): this {
    signed(value, this.push(0x42));
    return this;
  }

  f64(value: number): this {
    this.push(0x44, ...new Uint8Array(new Float64Array([value]).buffer));
    return this;
  }

  /** A vector of four equal words, given by their bits. */
  splat(word: number): this {
    return this.words(word, word, word, word);
  }

  words(...words: number[]): this {
    this.op(v.const);
    for (const word of words) this.bytes.push(word & 255, (word >> 8) & 255, (word >> 16) & 255, (word >> 24) & 255);
    return this;
  }

  /** Lanes 0 … 3 of the first operand, 4 … 7 of the second. */
  shuffle(...lanes: number[]): this {
    this.op(v.shuffle);
    for (const lane of lanes) for (let byte = 0; byte < 4; byte++) this.bytes.push(lane * 4 + byte);
    return this;
  }

  lane(code: number, lane: number): this {
    this.op(code).bytes.push(lane);
    return this;
  }

  /** A load or store with a constant byte offset; lane instructions take the lane. Atomics need their full alignment. */
  memory(code: number, offset = 0, lane?: number): this {
    this.op(code).bytes.push(code >> 12 === 0xfe ? 2 : 0);
    unsigned(offset, this.bytes);
    if (lane !== undefined) this.bytes.push(lane);
    return this;
  }

  /** memory.fill and memory.copy. */
  bulk(code: number): this {
    this.op(code).bytes.push(...(code === op.copy ? [0, 0] : [0]));
    return this;
  }

  call(index: number): this {
    unsigned(index, this.push(0x10));
    return this;
  }

  /** A block that `branch` leaves; gives nothing unless a result type is told. */
  block(body: () => void): this {
    this.bytes.push(0x02, 0x40);
    body();
    return this.end();
  }

  /** do { body } while (condition left on the stack by `body`). */
  loop(body: () => void): this {
    this.bytes.push(0x03, 0x40);
    body();
    this.bytes.push(0x0d, 0);
    return this.end();
  }

  /** if (top of stack) then … else …, with a result of `type` if told. */
  if(then: () => void, otherwise?: () => void, type = 0x40): this {
    this.bytes.push(0x04, type);
    then();
    if (otherwise) {
      this.bytes.push(0x05);
      otherwise();
    }
    return this.end();
  }

  /** Leaves the `depth`-th enclosing block when the top of the stack is not zero. */
  branchIf(depth: number): this {
    this.bytes.push(0x0d, depth);
    return this;
  }

  private end(): this {
    this.bytes.push(0x0b);
    return this;
  }

  /** for (local = start; local < end; local += step); bounds are constants or { local }. Unsigned. */
  for(local: number, start: Bound, end: Bound, step: number, body: () => void): this {
    this.bound(start).set(local);
    return this.while(local, end, step, body);
  }

  /** while (local < end) { body; local += step } */
  while(local: number, end: Bound, step: number, body: () => void): this {
    this.get(local).bound(end).op(op.ltS);
    return this.if(() =>
      this.loop(() => {
        body();
        this.get(local).i32(step).op(op.add).tee(local).bound(end).op(op.ltS);
      }),
    );
  }

  bound(value: Bound): this {
    return typeof value === "number" ? this.i32(value) : this.get(value.local);
  }

  /** local += by */
  advance(local: number, by: number): this {
    return this.get(local).i32(by).op(op.add).set(local);
  }

  /** Adds local · factor to what is on the stack. */
  addTimes(local: number, factor: number): this {
    return this.get(local).i32(factor).op(op.mul, op.add);
  }

  /** Pushes ⌈local / by⌉, unsigned. */
  ceilDiv(local: number, by: number): this {
    return this.get(local)
      .i32(by - 1)
      .op(op.add)
      .i32(by)
      .op(op.divU);
  }

  /** Pushes the lesser of two signed numbers. */
  least(local: number, other: Bound): this {
    return this.get(local).bound(other).get(local).bound(other).op(op.ltS, op.select);
  }

  /** The finished body with its local declarations. */
  body(): number[] {
    const groups: number[][] = [];
    for (let at = 0; at < this.types.length; ) {
      let end = at;
      while (this.types[end] === this.types[at]) end++;
      groups.push([...unsigned(end - at), this.types[at]!]);
      at = end;
    }
    const head = list(groups);
    const size = unsigned(head.length + this.bytes.length + 1);
    return [...size, ...head, ...this.bytes, 0x0b];
  }
}

export type Bound = number | { local: number };

export type Signature = { parameters: readonly number[]; results: readonly number[] };

/** A module in the making. All functions are imported first, then defined. Memory is imported as `env.memory`. */
export class ModuleBuilder {
  private readonly shared: boolean;
  private readonly types: string[] = [];
  private readonly imports: number[][] = [];
  private imported = 0;
  private readonly functions: { type: number; code: Code; export: string | undefined }[] = [];

  constructor(shared: boolean) {
    this.shared = shared;
  }

  private type(parameters: readonly number[], results: readonly number[]): number {
    const key = String.fromCharCode(0x60, ...list(parameters.map((t) => [t])), ...list(results.map((t) => [t])));
    const known = this.types.indexOf(key);
    return known >= 0 ? known : this.types.push(key) - 1;
  }

  /** Imports `env.name`; must come before the first `define`. */
  import(name: string, parameters: readonly number[], results: readonly number[] = []): number {
    this.imports.push([...text("env"), ...text(name), 0, ...unsigned(this.type(parameters, results))]);
    return this.imported++;
  }

  /** Defines a function; `write` gets its builder, whose first locals are the parameters. Gives the function's index. */
  define(
    parameters: readonly number[],
    results: readonly number[],
    write: (code: Code) => void,
    exported?: string,
  ): number {
    const code = new Code(parameters.length);
    write(code);
    const index = this.functions.push({ type: this.type(parameters, results), code, export: exported }) - 1;
    return this.imported + index;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    // Limits as broad as the backend's memory can be, so that any memory fits the import.
    const limits = this.shared ? [3, 0, ...unsigned(65536)] : [0, 0];
    const memory = [...text("env"), ...text("memory"), 2, ...limits];
    const exports = this.functions.flatMap((fn, at) =>
      fn.export === undefined ? [] : [[...text(fn.export), 0, ...unsigned(this.imported + at)]],
    );
    const section = (id: number, content: number[]): number[] => [id, ...unsigned(content.length), ...content];
    const head = [
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, list(this.types.map((key) => [...key].map((c) => c.charCodeAt(0))))),
      ...section(2, list([...this.imports, memory])),
      ...section(3, list(this.functions.map((fn) => unsigned(fn.type)))),
      ...section(7, list(exports)),
    ];
    const bodies = this.functions.map((fn) => fn.code.body());
    const count = unsigned(bodies.length);
    const length = bodies.reduce((sum, body) => sum + body.length, count.length);
    const code = [10, ...unsigned(length), ...count];
    const out = new Uint8Array(head.length + code.length + length - count.length);
    out.set(head);
    out.set(code, head.length);
    let at = head.length + code.length;
    for (const body of bodies) {
      out.set(body, at);
      at += body.length;
    }
    return out;
  }
}
