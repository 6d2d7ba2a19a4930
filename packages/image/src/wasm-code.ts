/** WebAssembly written by hand: a few of its instructions by name, and the frame of a module. */

/** Bytes of a module's code. */
export type Code = readonly number[];

export const get = (i: number): Code => [0x20, i];
export const set = (i: number): Code => [0x21, i];
export const constant = (value: number): Code => [0x41, ...signed(value)];
export const load = (offset = 0): Code => [0x28, 2, offset];
export const advance = (local: number, by: Code): Code => [...get(local), ...by, 0x6a, ...set(local)];
/** Repeats the body while `local` is below `limit`, at least once. */
export const repeat = (local: number, limit: Code, ...body: Code[]): Code => [
  0x03,
  0x40,
  ...body.flat(),
  ...get(local),
  ...limit,
  0x49,
  0x0d,
  0,
  0x0b,
];
export const simd = (opcode: number, ...rest: number[]): Code => [0xfd, ...unsigned(opcode), ...rest];

/** What every function of a module has: i32 parameters, then i32 and v128 variables, numbered in this order. */
export type Frame = { parameters: number; integers: number; vectors: number };

/** A module with a memory and these functions, or null where it cannot run: no SIMD, or a policy without 'wasm-unsafe-eval'. */
export function instantiate<Exports>(frame: Frame, functions: Readonly<Record<string, Code>>): Exports | null {
  try {
    const module = new WebAssembly.Module(moduleBytes(frame, functions) as Uint8Array<ArrayBuffer>);
    return new WebAssembly.Instance(module).exports as unknown as Exports;
  } catch {
    return null;
  }
}

function moduleBytes({ parameters, integers, vectors }: Frame, functions: Readonly<Record<string, Code>>): Uint8Array {
  const i32 = 0x7f;
  const v128 = 0x7b;
  const names = Object.keys(functions);
  const bodies = Object.values(functions).flatMap((code) => sized([2, integers, i32, vectors, v128, ...code]));
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, parameters, ...Array<number>(parameters).fill(i32), 0]),
    ...section(3, [names.length, ...names.map(() => 0)]),
    ...section(5, [1, 0, 1]),
    ...section(7, [names.length + 1, ...name("memory"), 2, 0, ...names.flatMap((text, i) => [...name(text), 0, i])]),
    ...section(10, [names.length, ...bodies]),
  ]);
}

const section = (id: number, content: Code): Code => [id, ...sized(content)];
const sized = (content: Code): Code => [...unsigned(content.length), ...content];
const name = (text: string): Code => sized([...text].map((c) => c.charCodeAt(0)));

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  return value < 64 ? [value] : [(value & 127) | 128, ...signed(value >> 7)];
}
