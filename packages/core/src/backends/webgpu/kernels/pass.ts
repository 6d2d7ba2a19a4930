/** Puts hand-written kernels together from a body and its arguments; long arguments are bound in parts. */
import { computeType } from "../../../dtype.ts";
import { rowMajor } from "../../../ir/linear.ts";
import type { TensorSpec } from "../../../op.ts";
import type { WebGpuArgument, WebGpuBinding, WebGpuKernelContext, WebGpuPass } from "../custom.ts";
import { foldGroups, mainHead, product } from "../render/grid.ts";
import { perWord, Shader, wgslType } from "../render/shader.ts";

/** Workgroups in one dimension that every adapter takes. */
const MOST_GROUPS = 65535;

/** Scratch buffers have no number. */
type Spec = TensorSpec & Partial<WebGpuArgument>;
type Argument = { name: string; at: number; units: string; spec: Spec };

export class Pass {
  readonly shader: Shader;
  private readonly arguments = new Map<string, Argument>();
  private readonly bindings: WebGpuBinding[] = [];

  constructor({ limits }: WebGpuKernelContext) {
    this.shader = new Shader(limits.bindingBytes);
  }

  /**
   * Binds an argument; inputs that lie in one buffer share a binding. `units`: "vector" for loads and stores of four
   * elements at once.
   */
  bind(name: string, binding: WebGpuBinding, spec: Spec, units: "scalar" | "vector" | "atomic" = "scalar"): void {
    const write = !("input" in binding) && !binding.read;
    const same = [...this.arguments.values()].find(
      (other) => "input" in binding && other.spec.buffer === spec.buffer && other.units === units,
    );
    const at = same?.at ?? this.bindings.push(binding) - 1;
    this.arguments.set(name, { name, at, units, spec });
    if (same) return;
    const bytes = Math.ceil((spec.view?.size ?? product(spec.shape)) / perWord(spec.dtype)) * 4;
    this.shader.declare(at, { dtype: spec.dtype, bytes, access: units, write });
  }

  /** A function `name_at(i, j, …)`: where the vector of four that starts at element [i j … 0] lies. */
  defineRows(name: string): void {
    const { spec } = this.arguments.get(name)!;
    const strides = spec.view?.strides ?? rowMajor(spec.shape);
    const axes = spec.shape.slice(0, -1).map((_, i) => `i${i}`);
    const terms = axes.map((axis, i) => `${axis} * ${this.shader.integer(strides[i]! / 4)}`);
    if (spec.view) terms.push(this.shader.integer(spec.view.offset / 4));
    this.shader.define(
      `fn ${name}_at(${axes.map((axis) => `${axis}: i32`).join(", ")}) -> i32 { return ${terms.join(" + ")}; }`,
    );
  }

  /** Element `index` (an i32 expression) of an argument bound as "scalar". */
  get(name: string, index: string): string {
    const { at, spec } = this.arguments.get(name)!;
    const count = perWord(spec.dtype);
    if (count === 1) return this.shader.fetch(at, index);
    return this.shader.unpack(
      spec.dtype,
      this.shader.fetch(at, `(${index}) >> ${Math.log2(count)}u`),
      `((${index}) & ${count - 1})`,
    );
  }

  /** Storage unit `index`: an element, a word of a narrow dtype, or a vector. */
  unit(name: string, index: string): string {
    return this.shader.fetch(this.arguments.get(name)!.at, index);
  }

  /** A statement that writes a storage unit. */
  put(name: string, index: string, value: string): string {
    return this.shader.put(this.arguments.get(name)!.at, index, value);
  }

  /** A function `name(i)` that reads elements 4i … 4i + 3 of a float argument. */
  defineVectorLoad(name: string): void {
    const { at, spec } = this.arguments.get(name)!;
    const { shader } = this;
    let body = `return ${shader.fetch(at, "i")};`;
    if (perWord(spec.dtype) === 2) {
      const part = (word: string, lane: number): string => shader.unpack(spec.dtype, word, `${lane}`);
      body = `let a = ${shader.fetch(at, "2 * i")}; let b = ${shader.fetch(at, "2 * i + 1")};
  return vec4f(${part("a", 0)}, ${part("a", 1)}, ${part("b", 0)}, ${part("b", 1)});`;
    }
    shader.define(`fn ${name}(i: i32) -> vec4f {\n  ${body}\n}`);
  }

  /** A statement that writes elements 4i … 4i + 3 of a float argument; `value` is the name of a vec4f. */
  putVector(name: string, index: string, value: string): string {
    const { at, spec } = this.arguments.get(name)!;
    const { shader } = this;
    if (perWord(spec.dtype) === 1) return shader.put(at, index, value);
    const word = (a: string, b: string): string =>
      `${shader.pack(spec.dtype, `${value}.${a}`)} | (${shader.pack(spec.dtype, `${value}.${b}`)} << 16u)`;
    return `${shader.put(at, `2 * (${index})`, word("x", "y"))} ${shader.put(at, `2 * (${index}) + 1`, word("z", "w"))}`;
  }

  typeOf(name: string): string {
    return wgslType[computeType(this.arguments.get(name)!.spec.dtype)];
  }

  /** A pass of `groups` workgroups; in the body `group` is the workgroup's number and `lid` the thread's in it. */
  finish(name: string, threads: number, groups: number, body: string, flops = 0): WebGpuPass {
    const { wgsl, params } = this.shader.finish(name, `${mainHead(threads)}\n${body}\n}\n`, groups);
    const bindings = this.shader.bindings.map(({ buffer, part }) => ({ ...this.bindings[buffer]!, part }));
    const [x, y] = foldGroups(groups, MOST_GROUPS);
    return { name, wgsl, bindings, params, workgroups: [x, y, 1], flops };
  }
}
