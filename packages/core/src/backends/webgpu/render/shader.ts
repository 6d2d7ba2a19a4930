/** A WGSL module under construction: parameters, bindings, helper functions. */
import { type ComputeType, computeType, type DType } from "../../../dtype.ts";
import { bindingsFor } from "./target.ts";

/** A rendered kernel: its text is shape-generic as far as that is cheap; sizes and strides come as parameters. */
export type Rendered = {
  name: string;
  wgsl: string;
  /** Buffer numbers, in binding order. `part` counts the ranges of a buffer that is longer than a binding may be. */
  bindings: readonly { buffer: number; part: number; write: boolean }[];
  /** 32-bit words of the uniform at the next binding. */
  params: readonly number[];
  /** Number of workgroups; the runner folds them into two dimensions. */
  groups: number;
};

/** How a kernel touches a buffer: whole words of 4 lanes, single elements, or bits of shared words. */
export type Access = "vector" | "scalar" | "atomic";

export type Declaration = { dtype: DType; bytes: number; access: Access; write: boolean };

export const wgslType: Record<ComputeType, string> = { f32: "f32", i32: "i32", u32: "u32", bool: "bool" };

/** Elements in one 32-bit word. */
export const perWord = (dtype: DType): number =>
  dtype === "f16" || dtype === "bf16" ? 2 : dtype === "u8" || dtype === "bool" ? 4 : 1;

const scratch = new DataView(new ArrayBuffer(4));

export function floatBits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
}

/** Rounds to nearest even on bits: WGSL leaves the rounding and the overflow of its own conversion open. */
const ROUND_F16 = `fn to_f16(x: f32) -> u32 {
  let b = bitcast<u32>(x);
  let s = (b >> 16u) & 0x8000u;
  let m = b & 0x7fffffffu;
  if (m > 0x7f800000u) { return s | 0x7e00u; }
  if (m >= 0x477ff000u) { return s | 0x7c00u; }
  if (m < 0x38800000u) { return s | u32(round(abs(x) * 16777216.0)); }
  return s | ((m + 0xfffu + ((m >> 13u) & 1u) - 0x38000000u) >> 13u);
}`;
const ROUND_BF16 = `fn to_bf16(x: f32) -> u32 {
  let b = bitcast<u32>(x);
  if ((b & 0x7fffffffu) > 0x7f800000u) { return (b >> 16u) | 0x40u; }
  return (b + 0x7fffu + ((b >> 16u) & 1u)) >> 16u;
}`;

export class Shader {
  private readonly words: number[] = [];
  private readonly helpers = new Set<string>();
  private readonly functions: string[] = [];
  private readonly extensions = new Set<string>();
  private readonly declared = new Map<number, { name: string; parts: number } & Declaration>();
  private readonly order: { buffer: number; part: number; write: boolean }[] = [];
  private readonly maxBinding: number;

  constructor(maxBinding: number) {
    this.maxBinding = maxBinding;
  }

  /** An integer that varies with shapes, as i32. A literal −1 could be an index that the compiler refuses. */
  integer(value: number): string {
    if (value === 0 || value === 1) return `${value}`;
    return this.word(value | 0);
  }

  /** A number as f32. Sizes and their reciprocals (means) are parameters, as are those that WGSL cannot write. */
  float(value: number): string {
    const single = Math.fround(value);
    const size = Math.abs(single) > 2 ? single : 1 / value;
    const isSize = Math.abs(size) > 2 && Math.abs(size - Math.round(size)) < 1e-6 * Math.abs(size);
    if (!Number.isFinite(single) || isSize) return `bitcast<f32>(${this.word(floatBits(single))})`;
    if (Object.is(single, -0)) return "-0.0f";
    return `${single}f`.replace(/^(-?\d+)f$/, "$1.0f");
  }

  literal(value: number, type: ComputeType): string {
    if (type === "f32") return this.float(value);
    if (type === "bool") return value ? "true" : "false";
    if (type === "u32") return `${value >>> 0}u`;
    // The least i32 has no literal.
    return (value | 0) === -2147483648 ? "i32(-2147483647 - 1)" : `i32(${value | 0})`;
  }

  /** A place of its own for every use: sizes that happen to be equal must not make another text. */
  private word(bits: number): string {
    const at = this.words.push(bits) - 1;
    return `P[${at >> 2}].${"xyzw"[at & 3]}`;
  }

  helper(text: string): void {
    this.helpers.add(text);
  }

  /** Asks for a language extension. */
  enable(extension: string): void {
    this.extensions.add(extension);
  }

  /** Adds a function of this kernel alone. */
  define(text: string): void {
    this.functions.push(text);
  }

  declare(buffer: number, declaration: Declaration): void {
    const parts = bindingsFor(declaration.bytes, this.maxBinding);
    // Named by order, not by the plan's numbers: the same kernel on other buffers is the same text.
    this.declared.set(buffer, { name: `b${this.declared.size}`, parts, ...declaration });
    for (let part = 0; part < parts; part++) this.order.push({ buffer, part, write: declaration.write });
  }

  get bindings(): Rendered["bindings"] {
    return this.order;
  }

  declaration(buffer: number): Declaration {
    return this.declared.get(buffer)!;
  }

  /** Reads storage unit `at` (a vector, an element or a word) of a buffer. */
  fetch(buffer: number, at: string): string {
    const { name, parts, access } = this.declared.get(buffer)!;
    if (parts > 1) return `load_${name}(${at})`;
    return access === "atomic" ? `atomicLoad(&${name}_0[${at}])` : `${name}_0[${at}]`;
  }

  /** A statement that writes unit `at`. */
  put(buffer: number, at: string, value: string): string {
    const { name, parts } = this.declared.get(buffer)!;
    return parts > 1 ? `store_${name}(${at}, ${value});` : `${name}_0[${at}] = ${value};`;
  }

  /** A statement that writes the bits of `mask` in word `at`, leaving those of other threads alone. */
  putBits(buffer: number, at: string, mask: string, bits: string): string {
    const { name, parts } = this.declared.get(buffer)!;
    if (parts > 1) return `bits_${name}(${at}, ${mask}, ${bits});`;
    return `atomicAnd(&${name}_0[${at}], ~(${mask})); atomicOr(&${name}_0[${at}], ${bits});`;
  }

  /** Element `lane` of a word (given by name), widened to its compute type. */
  unpack(dtype: DType, word: string, lane: string): string {
    if (dtype === "f16") return `unpack2x16float(${word})[${lane}]`;
    if (dtype === "bf16") return `bitcast<f32>((${word} >> (16u * u32(${lane}))) << 16u)`;
    const byte = `((${word} >> (8u * u32(${lane}))) & 255u)`;
    return dtype === "bool" ? `(${byte} != 0u)` : byte;
  }

  /** The bits of one element of a packed dtype. */
  pack(dtype: DType, value: string): string {
    if (dtype === "f16" || dtype === "bf16") {
      this.helper(dtype === "f16" ? ROUND_F16 : ROUND_BF16);
      return `to_${dtype}(${value})`;
    }
    return dtype === "bool" ? `select(0u, 1u, ${value})` : `(${value} & 255u)`;
  }

  /** The whole module. `main` is the text after the declarations. */
  finish(name: string, main: string, groups: number): Rendered {
    const lines = [...this.extensions].map((extension) => `enable ${extension};`);
    let binding = 0;
    for (const { name: base, parts, ...declaration } of this.declared.values()) {
      const mode = declaration.write ? "read_write" : "read";
      for (let part = 0; part < parts; part++) {
        const type = unitType(declaration);
        lines.push(`@group(0) @binding(${binding++}) var<storage, ${mode}> ${base}_${part}: array<${type}>;`);
      }
      if (parts > 1) lines.push(...rangeFunctions(base, parts, declaration, this.maxBinding));
    }
    const vectors = Math.max(1, Math.ceil(this.words.length / 4));
    lines.push(`@group(0) @binding(${binding}) var<uniform> P: array<vec4<i32>, ${vectors}>;`);
    const params = [...this.words, ...new Array<number>(vectors * 4 - this.words.length).fill(0)];
    const wgsl = [...lines, ...this.helpers, ...this.functions, main].join("\n");
    return { name, wgsl, bindings: this.order, params, groups };
  }
}

function unitType({ dtype, access }: Declaration): string {
  if (access === "atomic") return "atomic<u32>";
  if (perWord(dtype) > 1) return "u32";
  const type = wgslType[computeType(dtype)];
  return access === "vector" ? `vec4<${type}>` : type;
}

/** Access to a buffer that is bound as several ranges, each as long as a binding may be. */
function rangeFunctions(base: string, parts: number, declaration: Declaration, maxBinding: number): string[] {
  const unit = declaration.access === "vector" ? 16 : 4;
  const length = Math.floor(maxBinding / unit);
  const type = unitType(declaration).replace("atomic<u32>", "u32");
  const each = (make: (part: number, at: string) => string): string =>
    Array.from({ length: parts }, (_, part) => {
      const body = make(part, part === 0 ? "i" : `i - ${part * length}`);
      return part === parts - 1 ? `  ${body}` : `  if (i < ${(part + 1) * length}) { ${body} }`;
    }).join("\n");
  const atomic = declaration.access === "atomic";
  const load = (part: number, at: string): string =>
    `return ${atomic ? `atomicLoad(&${base}_${part}[${at}])` : `${base}_${part}[${at}]`};`;
  const functions = [`fn load_${base}(i: i32) -> ${type} {\n${each(load)}\n}`];
  if (atomic) {
    const bits = (part: number, at: string): string =>
      `atomicAnd(&${base}_${part}[${at}], ~m); atomicOr(&${base}_${part}[${at}], v); return;`;
    functions.push(`fn bits_${base}(i: i32, m: u32, v: u32) {\n${each(bits)}\n}`);
  } else if (declaration.write) {
    const store = (part: number, at: string): string => `${base}_${part}[${at}] = v; return;`;
    functions.push(`fn store_${base}(i: i32, v: ${type}) {\n${each(store)}\n}`);
  }
  return functions;
}
