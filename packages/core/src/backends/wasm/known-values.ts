/**
 * What is known at a point of a kernel's code: which loop variables have values, which expressions are in locals. A
 * value depends on axes and stages (one bit each); it can be computed where all of them are known, and once computed is
 * known to the end of the loop or branch.
 */
import type { Expr } from "../../ir/expr.ts";
import type { Atom, Linear } from "../../ir/linear.ts";
import type { Bound, Code } from "./assembler.ts";
import { Expansion } from "./expansion.ts";
import { op } from "./opcodes.ts";

type Known = { local: number; mask: number };

const STAGE_BIT = 16;

export class KnownValues {
  readonly code: Code;
  /** Locals that hold the loop variables; the vectorised one holds its first lane's index. */
  readonly axes = new Map<number, number>();
  /** The vectorised axis, or −1. */
  vector = -1;
  /** 4, or 1 when only lane 0 counts. */
  width: 1 | 4 = 1;
  /** Which of several consecutive vectors the body is for. */
  unroll = 0;
  /** Stage results are vectors over the vectorised axis (it is an outer one). */
  stagesVary = false;
  protected readonly expansion: Expansion;
  /** Bits of the axes and stages whose values exist. */
  protected ready = 0;
  private scopes: Map<string, Known>[] = [new Map()];
  private readonly dependencies = new Map<Expr, number>();

  constructor(code: Code, fused: boolean) {
    this.code = code;
    this.expansion = new Expansion(fused);
  }

  expand(expr: Expr): Expr {
    return this.expansion.expand(expr);
  }

  /** What is computed inside a branch or loop is not known outside it. */
  scope(body: () => void): void {
    const { ready } = this;
    this.scopes.push(new Map());
    body();
    this.scopes.pop();
    this.ready = ready;
  }

  protected find(key: string): Known | undefined {
    for (let at = this.scopes.length - 1; at >= 0; at--) {
      const known = this.scopes[at]!.get(key);
      if (known) return known;
    }
    return undefined;
  }

  protected record(key: string, local: number, mask = 0): number {
    this.scopes[this.scopes.length - 1]!.set(key, { local, mask });
    return local;
  }

  bindAxis(axis: number, local: number): void {
    this.axes.set(axis, local);
    this.ready |= 1 << axis;
  }

  bindStage(stage: number, local: number): void {
    this.record(this.keyed(`stage ${stage}`, this.stagesVary), local);
    this.ready |= 1 << (STAGE_BIT + stage);
  }

  /** From here to the end of the scope `pushStage` can give the stage. */
  allowStage(stage: number): void {
    this.ready |= 1 << (STAGE_BIT + stage);
  }

  protected keyed(key: string, varies: boolean): string {
    return varies ? `${key}@${this.unroll}` : key;
  }

  /**
   * Loops over an axis from where the local `at` stands: `unroll` vectors at a time, then one, then single elements.
   * A fixed end means that `at` starts at 0.
   */
  loop(axis: number, at: number, high: Bound, unroll: number, body: (unroll: number) => void): void {
    const { code } = this;
    const fixed = typeof high === "number" ? high : null;
    const run = (width: 1 | 4, count: number): void => {
      const step = width * count;
      if (fixed !== null && fixed < step) return;
      let end: Bound;
      if (fixed !== null) end = fixed - (fixed % step);
      else if (step === 1) end = high;
      else {
        // A multiple from where the loop starts: the remainder is left to the next loop.
        code
          .bound(high)
          .bound(high)
          .get(at)
          .op(op.sub)
          .i32(step - 1)
          .op(op.and, op.sub);
        end = { local: code.keep() };
      }
      this.width = width;
      code.while(at, end, step, () => {
        this.scope(() => {
          this.bindAxis(axis, at);
          body(count);
        });
      });
      this.unroll = 0;
    };
    if (unroll > 1) run(4, unroll);
    if (fixed === null || unroll === 1 || fixed % (4 * unroll) >= 4) run(4, 1);
    if (fixed === null || fixed % 4 > 0) run(1, 1);
    this.width = 1;
  }

  protected depends(expr: Expr): number {
    let mask = this.dependencies.get(expr);
    if (mask !== undefined) return mask;
    mask = 0;
    if (expr.kind === "load" || expr.kind === "index") mask = this.dependsIndex(expr.index);
    else if (expr.kind === "stage") {
      mask = 1 << (STAGE_BIT + expr.stage);
      if (this.stagesVary) mask |= 1 << this.vector;
    } else if (expr.kind === "apply") for (const arg of expr.args) mask |= this.depends(arg);
    else if (expr.kind === "guard") {
      mask = this.depends(expr.value);
      for (const { index } of expr.conditions) mask |= this.dependsIndex(index);
    }
    this.dependencies.set(expr, mask);
    return mask;
  }

  protected dependsIndex(index: Linear): number {
    return index.terms.reduce((mask, { atom }) => mask | this.dependsAtom(atom), 0);
  }

  protected dependsAtom(atom: Atom): number {
    if (atom.kind === "axis") return 1 << atom.axis;
    return atom.kind === "value" ? this.depends(this.expand(atom.value)) : this.dependsIndex(atom.of);
  }

  /** Whether lanes have different values of the expression. */
  variesInLane(expr: Expr): boolean {
    return this.varies(this.depends(expr));
  }

  /** Which stages an expression reads, one bit each. */
  stagesOf(expr: Expr): number {
    return this.depends(this.expand(expr)) >>> STAGE_BIT;
  }

  /** Whether a mask contains the vectorised axis. */
  protected varies(mask: number): boolean {
    return this.vector >= 0 && (mask & (1 << this.vector)) !== 0;
  }

  /** How many values are computed for one element: the size of a kernel's body. */
  countNodes(roots: readonly Expr[]): number {
    return this.parts(roots).size;
  }

  /** All expressions that `roots` are made of. */
  parts(roots: readonly Expr[]): Set<Expr> {
    const seen = new Set<Expr>();
    const visit = (expr: Expr): void => {
      if (seen.has(expr)) return;
      seen.add(expr);
      if (expr.kind === "apply") expr.args.forEach(visit);
      else if (expr.kind === "guard") visit(expr.value);
    };
    for (const root of roots) visit(this.expand(root));
    return seen;
  }
}
