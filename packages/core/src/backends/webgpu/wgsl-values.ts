/** Renders expressions and indices as WGSL: straight-line code in which every value is named once. */
import { type ComputeType, computeType, type DType } from "../../dtype.ts";
import type { Expr } from "../../ir/expr.ts";
import type { BufferSpec } from "../../ir/kernel.ts";
import type { Atom, Condition, Linear } from "../../ir/linear.ts";

/** How a dtype lies in a storage buffer: f16 and bf16 two to a word, u8 and bool one to a word. */
export const isPacked = (dtype: DType): boolean => dtype === "f16" || dtype === "bf16";

export function wgslLiteral(value: number, type: ComputeType): string {
  if (type === "bool") return value ? "true" : "false";
  if (type === "i32") return `i32(${value | 0})`;
  if (type === "u32") return `${value >>> 0}u`;
  const single = Math.fround(value);
  // Constant expressions may be neither infinite nor NaN: their bits are read from variables.
  if (Number.isNaN(single)) return "bitcast<f32>(nan_bits)";
  if (!Number.isFinite(single)) return single > 0 ? "bitcast<f32>(inf_bits)" : "(-bitcast<f32>(inf_bits))";
  if (Object.is(single, -0)) return "-0.0f";
  return `${single}f`;
}

/** One shader's bindings and helper functions. */
export class Shader {
  readonly bindings: number[] = [];
  private readonly written = new Set<number>();
  private readonly helpers = new Set<string>();
  private readonly specs: readonly BufferSpec[];

  constructor(specs: readonly BufferSpec[]) {
    this.specs = specs;
  }

  /** The variable of a buffer. */
  binding(buffer: number, write: boolean): string {
    let at = this.bindings.indexOf(buffer);
    if (at < 0) at = this.bindings.push(buffer) - 1;
    if (write) this.written.add(buffer);
    return `b${at}`;
  }

  helper(source: string): void {
    this.helpers.add(source);
  }

  dtype(buffer: number): DType {
    return this.specs[buffer]!.dtype;
  }

  text(body: string): string {
    const lines = this.bindings.map((buffer, at) => {
      const { dtype } = this.specs[buffer]!;
      const write = this.written.has(buffer);
      const element = write && isPacked(dtype) ? "atomic<u32>" : storageType(dtype);
      return `@group(0) @binding(${at}) var<storage, ${write ? "read_write" : "read"}> b${at}: array<${element}>;`;
    });
    return [
      ...lines,
      "var<private> nan_bits: u32 = 0x7fc00000u;",
      "var<private> inf_bits: u32 = 0x7f800000u;",
      ...this.helpers,
      body,
    ].join("\n");
  }
}

function storageType(dtype: DType): string {
  return dtype === "f32" || dtype === "i32" ? dtype : "u32";
}

const BF16_BITS = `fn bf16_bits(x: f32) -> u32 {
  let u = bitcast<u32>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) { return (u >> 16u) | 0x40u; }
  return (u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u;
}`;

/** Emits the statements of one body. Axis `n` is the i32 variable `v<n>` unless renamed. */
export class Body {
  readonly lines: string[] = [];
  readonly shader: Shader;
  /** Expression of each loop variable. */
  axisName: (axis: number) => string = (axis) => `v${axis}`;
  /** Expression of a reduce stage's result. */
  stageName: (stage: number) => string = (stage) => `s${stage}`;
  private readonly names = new Map<string, string>();
  private readonly prefix: string;

  constructor(shader: Shader, prefix = "t") {
    this.shader = shader;
    this.prefix = prefix;
  }

  private name(key: string, text: () => string): string {
    let name = this.names.get(key);
    if (name === undefined) {
      const value = text();
      name = `${this.prefix}${this.names.size}`;
      this.lines.push(`let ${name} = ${value};`);
      this.names.set(key, name);
    }
    return name;
  }

  value(expr: Expr): string {
    const type = computeType(expr.dtype);
    switch (expr.kind) {
      case "constant":
        return wgslLiteral(expr.value, type);
      case "stage":
        return this.stageName(expr.stage);
      case "index":
        return this.index(expr.index);
      case "load":
        return this.name(expr.key, () => this.load(expr.buffer, this.index(expr.index)));
      case "guard":
        return this.name(expr.key, () => {
          const value = this.value(expr.value);
          const conditions = expr.conditions.map((condition) => this.condition(condition)).join(" && ");
          return `select(${wgslLiteral(expr.otherwise, type)}, ${value}, ${conditions})`;
        });
      case "apply":
        return this.name(expr.key, () => {
          const { op } = expr;
          if (op.identity) return this.value(expr.args[0]!);
          if (op.wgslHelper) this.shader.helper(op.wgslHelper);
          const args = expr.args.map((arg) => this.value(arg));
          const text = op.wgsl(
            args,
            expr.args.map((arg) => computeType(arg.dtype)),
            type,
          );
          return expr.dtype === "u8" ? `(${text} & 255u)` : text;
        });
    }
  }

  condition({ index, low, high }: Condition): string {
    const at = this.index(index);
    return `(${at} >= ${low} && ${at} < ${high})`;
  }

  /** An i32 expression. */
  index(index: Linear): string {
    if (index.terms.length === 0) return `${index.constant}i`;
    return this.name(`index ${index.key}`, () => {
      const parts = index.terms.map(({ atom, times }) => {
        const value = this.atom(atom);
        return times === 1 ? value : `${value} * ${times}`;
      });
      if (index.constant !== 0) parts.push(`${index.constant}`);
      return parts.join(" + ").replaceAll("+ -", "- ");
    });
  }

  private atom(atom: Atom): string {
    if (atom.kind === "axis") return this.axisName(atom.axis);
    if (atom.kind === "value") return this.value(atom.value);
    return `(${this.index(atom.of)} ${atom.kind === "div" ? "/" : "%"} ${atom.by})`;
  }

  private load(buffer: number, at: string): string {
    const b = this.shader.binding(buffer, false);
    switch (this.shader.dtype(buffer)) {
      case "bool":
        return `(${b}[${at}] != 0u)`;
      case "f16":
        return `unpack2x16float(${b}[u32(${at}) >> 1u])[u32(${at}) & 1u]`;
      case "bf16":
        return `bitcast<f32>((${b}[u32(${at}) >> 1u] >> (16u * (u32(${at}) & 1u))) << 16u)`;
      default:
        return `${b}[${at}]`;
    }
  }

  store(buffer: number, index: Linear, value: Expr): void {
    const at = this.index(index);
    const x = this.value(value);
    const b = this.shader.binding(buffer, true);
    const dtype = this.shader.dtype(buffer);
    if (isPacked(dtype)) {
      // Two elements share a word: each writer clears and sets its own half.
      if (dtype === "bf16") this.shader.helper(BF16_BITS);
      const bits = dtype === "f16" ? `(pack2x16float(vec2f(${x}, 0.0)) & 0xffffu)` : `bf16_bits(${x})`;
      this.lines.push(
        `atomicAnd(&${b}[u32(${at}) >> 1u], ~(0xffffu << (16u * (u32(${at}) & 1u))));`,
        `atomicOr(&${b}[u32(${at}) >> 1u], ${bits} << (16u * (u32(${at}) & 1u)));`,
      );
    } else if (dtype === "bool") this.lines.push(`${b}[${at}] = select(0u, 1u, ${x});`);
    else if (dtype === "u8") this.lines.push(`${b}[${at}] = ${x} & 255u;`);
    else this.lines.push(`${b}[${at}] = ${x};`);
  }
}

/** Lines with an indent. */
export const indented = (lines: readonly string[], by = 2): string =>
  lines.map((line) => " ".repeat(by) + line).join("\n");
