/** The elements of a kernel's values as expressions of loads at symbolic indices. */
import { isFloat } from "../dtype.ts";
import { type Expr, ExprBuilder } from "../ir/expr.ts";
import { symbolic } from "../ir/index-algebra.ts";
import { type Condition, flatten, fromValue, type Linear, range } from "../ir/linear.ts";
import { maximumOp, minimumOp } from "../ops/arithmetic.ts";
import { castOp } from "../ops/cast.ts";
import type { Buffers } from "./buffers.ts";
import type { Group } from "./group.ts";
import type { Grouping } from "./grouping.ts";

/** Values as one group's kernel sees them. */
export class Elements {
  readonly build = new ExprBuilder();
  /** The stage of each reduction that is computed by now. */
  readonly stageOf = new Map<number, number>();
  readonly #grouping: Grouping;
  readonly #buffers: Buffers;
  readonly #group: Group;
  /** By node and index: a walk can come to a value by many ways. */
  readonly #known = new Map<string, Expr>();

  constructor(grouping: Grouping, buffers: Buffers, group: Group) {
    this.#grouping = grouping;
    this.#buffers = buffers;
    this.#group = group;
  }

  /** The element of node `at` at an index: loaded where another kernel stores it. */
  at(at: number, index: readonly Linear[]): Expr {
    const { members } = this.#group;
    const base = this.#buffers.base(at);
    const inGroup = members.has(at) || members.has(base) || this.#grouping.again.get(base)?.has(this.#group);
    const buffer = inGroup ? undefined : this.#buffers.of(at);
    if (buffer === undefined) return this.computed(at, index);
    const { shape, dtype } = this.#grouping.node(at);
    return this.build.load(buffer, flatten(index, shape), dtype);
  }

  /** The element as it is computed, stored or not. */
  computed(at: number, index: readonly Linear[]): Expr {
    if (!this.#grouping.isShared(at)) return this.#compute(at, index);
    const key = `${at} ${index.map((i) => i.key).join(" ")}`;
    let expr = this.#known.get(key);
    if (!expr) this.#known.set(key, (expr = this.#compute(at, index)));
    return expr;
  }

  #compute(at: number, index: readonly Linear[]): Expr {
    const { build } = this;
    const g = this.#grouping;
    const node = g.node(at);
    const { op, dtype } = node;
    const input = (k: number, where: readonly Linear[]): Expr => this.at(g.resolve(node.inputs[k]!), where);
    switch (op.kind) {
      case "fill":
        return build.constant(node.attributes.value as number, dtype);
      case "iota":
        return build.index(index[0]!);
      case "elementwise":
        return build.apply(
          op,
          node.inputs.map((_, k) => input(k, index)),
          dtype,
        );
      case "view": {
        const source = g.node(g.resolve(node.inputs[0]!)).shape;
        const mapped = op.map(symbolic, index, source, node.shape, node.attributes);
        const conditions = openConditions(mapped.conditions ?? []);
        if (conditions === "never") return build.constant(mapped.otherwise ?? 0, dtype);
        return build.guard(conditions, input(0, mapped.index), mapped.otherwise ?? 0);
      }
      case "take": {
        const table = g.node(g.resolve(node.inputs[0]!));
        const rows = table.shape[0]!;
        let id = input(1, [index[0]!]);
        if (id.dtype !== "i32") id = build.apply(castOp, [id], "i32");
        const low = build.apply(maximumOp, [id, build.constant(0, "i32")], "i32");
        const clamped = build.apply(minimumOp, [low, build.constant(rows - 1, "i32")], "i32");
        const loaded = input(0, [fromValue(clamped, rows, clamped.key), index[1]!]);
        const inRange = { index: fromValue(id, 2 ** 31, id.key), low: 0, high: rows };
        return build.guard([inRange], loaded, isFloat(dtype) ? Number.NaN : 0);
      }
      case "reduce": {
        const stage = this.stageOf.get(at);
        if (stage === undefined) throw new Error(`${op.name} is read before its stage`);
        return build.stage(stage, dtype);
      }
      case "contract":
        if (this.#group.kind === "loop") return build.constant(0, dtype);
        return build.stage(0, dtype);
      default:
        throw new Error(`${op.name} has no buffer`);
    }
  }
}

/** Conditions that are not known to hold; "never" when one cannot. */
function openConditions(conditions: readonly Condition[]): Condition[] | "never" {
  const open: Condition[] = [];
  for (const condition of conditions) {
    const { min, max } = range(condition.index);
    if (max < condition.low || min >= condition.high) return "never";
    if (min < condition.low || max >= condition.high) open.push(condition);
  }
  return open;
}
