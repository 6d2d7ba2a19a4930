/**
 * Which elementwise ops WebAssembly has instructions for, by op name and type of the first argument. An op that is not
 * here (or not for that type) must have a `decompose` in its record. Values are vectors of four: f32, i32, u32, and for
 * bool all ones or all zeros.
 */
import type { Code } from "../backends/wasm/assembler.ts";
import { f, i, op, v } from "../backends/wasm/opcodes.ts";
import type { ComputeType } from "../dtype.ts";
import type { Expr } from "./expr.ts";

export type NativeContext = {
  code: Code;
  /** Locals that hold the arguments. */
  args: readonly number[];
  exprs: readonly Expr[];
  types: readonly ComputeType[];
  result: ComputeType;
};

/** Leaves the result on the stack. */
type Rule = (context: NativeContext) => void;
/** One instruction on all arguments in order, or a rule. */
type Entry = number | Rule;

const ONE_F32 = 0x3f800000;

const all = (entry: Entry): Record<ComputeType, Entry> => ({ f32: entry, i32: entry, u32: entry, bool: entry });
const integers = (signed: Entry, unsigned: Entry = signed): Partial<Record<ComputeType, Entry>> => ({
  i32: signed,
  u32: unsigned,
});
const compare = (float: number, signed: number, unsigned: number): Record<ComputeType, Entry> => ({
  f32: float,
  i32: signed,
  u32: unsigned,
  bool: unsigned,
});
const bitwise = (entry: Entry): Partial<Record<ComputeType, Entry>> => ({ ...integers(entry), bool: entry });

/** Four scalar computations; `each` finds the lane's arguments in locals and leaves its result. */
function lanewise(each: (code: Code, a: number, b: number) => void): Rule {
  return ({ code, args: [x, y] }) => {
    const [a, b] = [code.local(), code.local()];
    for (let lane = 0; lane < 4; lane++) {
      if (lane === 0) code.get(x!);
      code.get(x!).lane(v.extract, lane).set(a);
      code.get(y!).lane(v.extract, lane).set(b);
      each(code, a, b);
      code.lane(v.replace, lane);
    }
  };
}

/** a / b and a mod b: b of 0 and −1, on which the instruction traps, give a·b and 0. */
const safely = (instruction: number, signed: boolean, quotient: boolean): Rule =>
  lanewise((code, a, b) => {
    const unsafe = code.local();
    if (signed) code.get(b).i32(1).op(op.add).i32(2).op(op.ltU).set(unsafe);
    else code.get(b).op(op.eqz).set(unsafe);
    if (quotient) code.get(a, b).op(op.mul);
    else code.i32(0);
    code.get(a).i32(1).get(b, unsafe).op(op.select, instruction);
    code.get(unsafe).op(op.select);
  });

/** SIMD shifts take one scalar count; counts that differ by lane go one by one. Both are taken modulo 32. */
const shift = (vector: number, scalar: number): Rule => {
  const each = lanewise((code, a, b) => code.get(a, b).op(scalar));
  return (context) => {
    const count = context.exprs[1]!;
    if (count.kind === "constant") context.code.get(context.args[0]!).i32(count.value).op(vector);
    else each(context);
  };
};

/** pmax(x, c) and pmin(x, c) are one machine instruction and keep NaN in x; without a constant the exact form is needed. */
const extremum = (exact: number, pseudo: number): Rule => {
  return ({ code, args: [a, b], exprs: [x, y] }) => {
    const plain = (e: Expr): boolean => e.kind === "constant" && !Number.isNaN(e.value);
    if (plain(y!)) code.get(a!, b!).op(pseudo);
    else if (plain(x!)) code.get(b!, a!).op(pseudo);
    else code.get(a!, b!).op(exact);
  };
};

const cast: Rule = ({ code, args: [x], types: [from], result }) => {
  code.get(x!);
  if (from === result) return;
  if (result === "bool") {
    if (from === "f32") code.splat(0).op(f.ne);
    else code.splat(0).op(i.ne);
  } else if (from === "bool") code.splat(result === "f32" ? ONE_F32 : 1).op(v.and);
  else if (from === "f32") code.op(result === "i32" ? i.truncS : i.truncU);
  else if (result === "f32") code.op(from === "i32" ? f.convertS : f.convertU);
};

const bitcast: Rule = ({ code, args: [x] }) => {
  code.get(x!);
};

const TABLE: Readonly<Record<string, Partial<Record<ComputeType, Entry>>>> = {
  add: { f32: f.add, ...integers(i.add) },
  sub: { f32: f.sub, ...integers(i.sub) },
  mul: { f32: f.mul, ...integers(i.mul) },
  div: { f32: f.div, ...integers(safely(op.divS, true, true), safely(op.divU, false, true)) },
  rem: integers(safely(op.remS, true, false), safely(op.remU, false, false)),
  neg: { f32: f.neg, ...integers(i.neg) },
  abs: { f32: f.abs, ...integers(i.abs, bitcast) },
  sqrt: { f32: f.sqrt },
  floor: { f32: f.floor },
  ceil: { f32: f.ceil },
  trunc: { f32: f.trunc },
  round: { f32: f.nearest },
  greater: { f32: f.pmax },
  maximum: { f32: extremum(f.max, f.pmax), ...integers(i.maxS, i.maxU), bool: v.or },
  minimum: { f32: extremum(f.min, f.pmin), ...integers(i.minS, i.minU), bool: v.and },
  eq: compare(f.eq, i.eq, i.eq),
  ne: compare(f.ne, i.ne, i.ne),
  lt: compare(f.lt, i.ltS, i.ltU),
  le: compare(f.le, i.leS, i.leU),
  gt: compare(f.gt, i.gtS, i.gtU),
  ge: compare(f.ge, i.geS, i.geU),
  and: bitwise(v.and),
  or: bitwise(v.or),
  xor: bitwise(v.xor),
  not: bitwise(v.not),
  shiftLeft: integers(shift(i.shl, op.shl)),
  shiftRight: integers(shift(i.shrS, op.shrS), shift(i.shrU, op.shrU)),
  where: { bool: ({ code, args: [c, a, b] }) => code.get(a!, b!, c!).op(v.bitselect) },
  // Relaxed SIMD; the backend makes these two itself where the engine has it: a·b + c and c − a·b.
  multiplyAdd: { f32: f.relaxedMadd },
  multiplySubtract: { f32: f.relaxedNmadd },
  cast: all(cast),
  bitcast: all(bitcast),
};

/** Whether the op has an instruction for a first argument of this type. */
export const hasInstruction = (name: string, type: ComputeType): boolean => TABLE[name]?.[type] !== undefined;

/** Emits the op; false when it has no instruction. */
export function emitInstruction(name: string, context: NativeContext): boolean {
  const entry = TABLE[name]?.[context.types[0]!];
  if (entry === undefined) return false;
  if (typeof entry === "number") context.code.get(...context.args).op(entry);
  else entry(context);
  return true;
}
