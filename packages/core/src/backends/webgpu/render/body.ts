/** Renders expressions and stores as WGSL statements; each expression once per lane, as far out as it can be computed. */
import { type ComputeType, computeType } from "../../../dtype.ts";
import { axesOf, axesOfAtom, axesOfIndex, stagesOf } from "../../../ir/dependence.ts";
import type { Expr } from "../../../ir/expr.ts";
import type { Store } from "../../../ir/kernel.ts";
import type { Atom, Condition, Linear, Term } from "../../../ir/linear.ts";
import { perWord, type Shader, wgslType } from "./shader.ts";
import { isRun, SCALAR, stepOf, type VectorAxis, variesIn } from "./steps.ts";

/** Names of reduce results: stage → lane → name (one lane when it is the same for all). */
export type StageNames = (stage: number, lane: number) => string;

type BodyOptions = {
  shader: Shader;
  /** Names of the loop variables that this body declares. */
  axes: ReadonlyMap<number, string>;
  vector?: VectorAxis;
  /** Vector lanes whose axes are not lane 0's plus their number: each has names of its own. */
  laneAxes?: readonly ReadonlyMap<number, string>[];
  parent?: Body;
  stages?: StageNames;
  /** In contractions the accumulator differs between lanes. */
  laneStages?: boolean;
};

export class Body {
  readonly lines: string[] = [];
  readonly shader: Shader;
  readonly vector: VectorAxis;
  private readonly parent: Body | null;
  private readonly axes: ReadonlyMap<number, string>;
  private readonly laneAxes: readonly ReadonlyMap<number, string>[] | null;
  private readonly stages: StageNames;
  private readonly laneStages: boolean;
  private readonly own: number;
  private readonly memo = new Map<string, string>();
  private readonly prefix: string;

  constructor({ shader, axes, vector = SCALAR, laneAxes, parent, stages, laneStages = false }: BodyOptions) {
    this.shader = shader;
    this.axes = axes;
    this.vector = vector;
    this.laneAxes = laneAxes ?? null;
    this.parent = parent ?? null;
    this.stages = stages ?? parent?.stages ?? (() => "");
    this.laneStages = laneStages;
    this.own = [...axes.keys()].reduce((mask, axis) => mask | (1 << axis), 0);
    this.prefix = parent ? `${parent.prefix}i` : "";
  }

  private bind(key: string, type: string, make: () => string): string {
    let name = this.memo.get(key);
    if (!name) {
      const text = make();
      name = `${this.prefix}x${this.memo.size}`;
      this.memo.set(key, name);
      this.lines.push(`let ${name}: ${type} = ${text};`);
    }
    return name;
  }

  /** The same parameter for all lanes. */
  private once(key: string, make: () => string): string {
    let text = this.memo.get(key);
    if (!text) this.memo.set(key, (text = make()));
    return text;
  }

  /** Where a value with these axes belongs: here, or in the enclosing body. */
  private outside(axes: number): Body | null {
    return this.parent && (axes & this.own) === 0 ? this.parent : null;
  }

  /** An i32 expression for an index in one lane. */
  index(index: Linear, lane = 0): string {
    if (index.terms.length === 0) return this.shader.integer(index.constant);
    const outside = this.outside(axesOfIndex(index));
    if (outside) return outside.index(index, 0);
    const step = this.laneAxes ? null : stepOf(index, this.vector);
    if (lane > 0 && step !== null) {
      const base = this.index(index, 0);
      return step === 0 ? base : this.bind(`${index.key}@${lane}`, "i32", () => `${base} + ${step * lane}`);
    }
    return this.bind(`${index.key}@${lane}`, "i32", () => this.sum(index, lane));
  }

  private sum(index: Linear, lane: number): string {
    const here: Term[] = [];
    const rest: Term[] = [];
    for (const term of index.terms) (this.outside(axesOfAtom(term.atom)) ? rest : here).push(term);
    const parts = here.map(({ atom, times }) => {
      const value = this.atom(atom, lane);
      if (times === 1) return value;
      return times === -1 ? `-${value}` : `${value} * ${this.shader.integer(times)}`;
    });
    if (rest.length > 0) {
      const key = `${index.constant}${rest.map((t) => `+${t.times}*${t.atom.key}`).join("")}`;
      parts.unshift(this.parent!.index({ constant: index.constant, terms: rest, key }));
    } else if (index.constant !== 0) parts.push(this.shader.integer(index.constant));
    return parts.join(" + ");
  }

  private atom(atom: Atom, lane: number): string {
    const outside = this.outside(axesOfAtom(atom));
    if (outside) return outside.atom(atom, 0);
    if (atom.kind === "axis") {
      const name = (this.laneAxes?.[lane] ?? this.axes).get(atom.axis);
      if (name === undefined) throw new Error(`webgpu: loop variable ${atom.axis} is not in scope`);
      return this.laneAxes || atom.axis !== this.vector.axis || lane === 0 ? name : `(${name} + ${lane})`;
    }
    if (atom.kind === "value")
      return this.bind(`${atom.key}@${lane}v`, "i32", () => `i32(${this.value(atom.value, lane)})`);
    const sign = atom.kind === "div" ? "/" : "%";
    return this.bind(`${atom.key}@${lane}`, "i32", () => `i32(u32(${this.index(atom.of, lane)}) ${sign} ${atom.by}u)`);
  }

  private condition({ index, low, high }: Condition, lane: number): string {
    const at = this.index(index, lane);
    const name = `${low}<=${index.key}<${high}`;
    const shifted = low === 0 ? at : `${at} - ${this.once(`${name} low`, () => this.shader.integer(low))}`;
    // One unsigned comparison tests both ends.
    return `u32(${shifted}) < u32(${this.once(`${name} high`, () => this.shader.integer(high - low))})`;
  }

  /** The name of a value in one lane. */
  value(expr: Expr, lane = 0): string {
    if (expr.kind === "constant") {
      return this.once(expr.key, () => this.shader.literal(expr.value, computeType(expr.dtype)));
    }
    if (expr.kind === "stage") return this.stages(expr.stage, lane);
    const reads = axesOf(expr);
    const outside = this.outside(reads);
    if (outside) return outside.value(expr, 0);
    const varies = variesIn(expr, this.vector) || (this.laneStages && stagesOf(expr) !== 0);
    const at = varies || this.laneAxes ? lane : 0;
    const type = computeType(expr.dtype);
    if (expr.kind === "load") return this.load(expr, at, type);
    return this.bind(`${expr.key}@${at}`, wgslType[type], () => this.compute(expr, at, type));
  }

  private compute(
    expr: Exclude<Expr, { kind: "load" | "constant" | "stage" }>,
    lane: number,
    type: ComputeType,
  ): string {
    if (expr.kind === "index") return this.index(expr.index, lane);
    if (expr.kind === "guard") {
      const value = this.value(expr.value, lane);
      const conditions = expr.conditions.map((c) => this.condition(c, lane));
      const otherwise = this.once(`${expr.key} otherwise`, () => this.shader.literal(expr.otherwise, type));
      return `select(${otherwise}, ${value}, ${conditions.join(" && ")})`;
    }
    const { op } = expr;
    const args = expr.args.map((arg) => this.value(arg, lane));
    const types = expr.args.map((arg) => computeType(arg.dtype));
    if (op.wgslHelper) this.shader.helper(op.wgslHelper);
    const text = op.wgsl(args, types, type);
    return expr.dtype === "u8" ? `(${text}) & 255u` : text;
  }

  private load(expr: Expr & { kind: "load" }, lane: number, type: ComputeType): string {
    const { shader, vector } = this;
    const { buffer, index, dtype, key } = expr;
    const count = perWord(dtype);
    const packed = count > 1;
    const shift = Math.log2(count);
    const run = !this.laneAxes && isRun(index, vector);
    if (packed && run) {
      const word = this.bind(`${key}w${Math.floor(lane / count)}`, "u32", () => {
        const first = `(${this.index(index, 0)} >> ${shift}u)`;
        return shader.fetch(buffer, lane < count ? first : `${first} + ${Math.floor(lane / count)}`);
      });
      return this.bind(`${key}@${lane}`, wgslType[type], () => shader.unpack(dtype, word, `${lane % count}`));
    }
    if (packed) {
      return this.bind(`${key}@${lane}`, wgslType[type], () => {
        const at = this.index(index, lane);
        const word = this.bind(`${key}w@${lane}`, "u32", () => shader.fetch(buffer, `${at} >> ${shift}u`));
        return shader.unpack(dtype, word, `${at} & ${count - 1}`);
      });
    }
    if (shader.declaration(buffer).access !== "vector") {
      return this.bind(`${key}@${lane}`, wgslType[type], () => shader.fetch(buffer, this.index(index, lane)));
    }
    const whole = this.bind(`${key}v`, `vec4<${wgslType[type]}>`, () =>
      shader.fetch(buffer, `${this.index(index, 0)} >> 2u`),
    );
    return `${whole}.${"xyzw"[lane]}`;
  }

  /** Writes all lanes. `guard(lane)` is a condition under which a lane exists, or null when it always does. */
  store({ buffer, index, value }: Store, guard: (lane: number) => string | null = () => null): void {
    const { shader, vector } = this;
    const { dtype, access } = shader.declaration(buffer);
    const { lanes } = vector;
    const values = Array.from({ length: lanes }, (_, lane) => this.value(value, lane));
    const count = perWord(dtype);
    const run = lanes > 1 && (this.laneAxes !== null || isRun(index, vector));
    if (count > 1 && run && access !== "atomic" && lanes % count === 0) {
      const first = `(${this.index(index, 0)} >> ${Math.log2(count)}u)`;
      for (let word = 0; word < lanes / count; word++) {
        const bits = Array.from({ length: count }, (_, i) => {
          const one = shader.pack(dtype, values[word * count + i]!);
          return i === 0 ? one : `(${one} << ${(32 / count) * i}u)`;
        });
        this.lines.push(shader.put(buffer, word === 0 ? first : `${first} + ${word}`, bits.join(" | ")));
      }
      return;
    }
    if (access === "vector") {
      const type = wgslType[computeType(dtype)];
      this.lines.push(shader.put(buffer, `${this.index(index, 0)} >> 2u`, `vec4<${type}>(${values.join(", ")})`));
      return;
    }
    for (let lane = 0; lane < lanes; lane++) {
      const at = this.index(index, lane);
      const condition = guard(lane);
      let text = shader.put(buffer, at, values[lane]!);
      if (count > 1) {
        const shift = `${32 / count}u * u32(${at} & ${count - 1})`;
        const mask = count === 2 ? "65535u" : "255u";
        text = shader.putBits(
          buffer,
          `${at} >> ${Math.log2(count)}u`,
          `${mask} << (${shift})`,
          `${shader.pack(dtype, values[lane]!)} << (${shift})`,
        );
      }
      this.lines.push(condition ? `if (${condition}) { ${text} }` : text);
    }
  }
}
