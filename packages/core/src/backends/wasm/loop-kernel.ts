/**
 * Loop kernels. One axis is vectorised: an inner one (a reduction along rows ends with a sum over lanes) or an outer one
 * (each lane has a reduction of its own); whichever makes loads and stores contiguous. What does not depend on a loop's
 * variable is computed before the loop. Threads split the outer range; no sum depends on how.
 */

import { computeType, type DType } from "../../dtype.ts";
import type { Expr } from "../../ir/expr.ts";
import type { BufferSpec, LoopKernel, Store } from "../../ir/kernel.ts";
import { type Linear, strideOf } from "../../ir/linear.ts";
import { type Bound, type Code, floatBits } from "./assembler.ts";
import { I32, op, V128, v } from "./opcodes.ts";
import { Values } from "./values.ts";

/** The parameters of every kernel function. */
export const KERNEL_PARAMETERS = [I32, I32];
export const THREAD = 0;
export const THREADS = 1;

type Reduce = Extract<LoopKernel["stages"][number], { kind: "reduce" }>;
type Access = { index: Linear; store: boolean };

/** Kernels with fewer element operations than this run on one thread. */
const WORTH_SPLITTING = 16384;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** All loads and stores of a kernel, also those inside guards and indices. */
function accesses(values: Values, kernel: LoopKernel): Access[] {
  const seen = new Set<Expr>();
  const out: Access[] = [];
  const visitIndex = (index: Linear): void => {
    for (const { atom } of index.terms) {
      if (atom.kind === "value") visit(atom.value);
      else if (atom.kind !== "axis") visitIndex(atom.of);
    }
  };
  const visit = (source: Expr): void => {
    const expr = values.expand(source);
    if (seen.has(expr)) return;
    seen.add(expr);
    if (expr.kind === "load") {
      out.push({ index: expr.index, store: false });
      visitIndex(expr.index);
    } else if (expr.kind === "apply") expr.args.forEach(visit);
    else if (expr.kind === "guard") visit(expr.value);
  };
  for (const stage of kernel.stages) {
    visit(stage.value);
    if (stage.kind === "store") out.push({ index: stage.index, store: true });
  }
  return out;
}

/** The axis whose vectorisation makes an element cheapest, by a rough count of instructions; −1 when there is none. */
function chooseVector(sizes: readonly number[], outer: number, nodes: number, all: readonly Access[]): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const n = sizes[axis]!;
    if (n === 1) continue;
    let vector = nodes;
    for (const { index, store } of all) {
      const stride = strideOf(index, axis);
      if (stride === null) vector += 24;
      else if (stride === 1) vector += 1;
      else if (stride !== 0) vector += store ? 10 : 8;
    }
    const perRow = 12 + (axis >= outer ? 8 : 0);
    const cost = (Math.floor(n / 4) * vector + (n % 4) * (nodes + all.length) + perRow) / n;
    if (cost < least * 0.98) {
      best = axis;
      least = cost;
    }
  }
  return best;
}

/** Renders one loop kernel into a function body; `bases` gives the locals that hold the buffers' addresses. */
export function renderLoop(
  code: Code,
  kernel: LoopKernel,
  specs: readonly BufferSpec[],
  pushBase: (buffer: number) => void,
): void {
  new LoopRenderer(code, kernel, specs, pushBase).render();
}

class LoopRenderer {
  private readonly code: Code;
  private readonly kernel: LoopKernel;
  private readonly values: Values;
  private readonly sizes: readonly number[];
  private readonly vector: number;
  private readonly unroll: number;
  private readonly roots: readonly Expr[];
  private readonly targets: readonly Store[];

  constructor(code: Code, kernel: LoopKernel, specs: readonly BufferSpec[], pushBase: (buffer: number) => void) {
    this.code = code;
    this.kernel = kernel;
    this.values = new Values(code, specs, pushBase);
    this.sizes = [...kernel.outer, ...kernel.inner];
    this.roots = kernel.stages.map((stage) => stage.value);
    this.targets = kernel.stages.filter((stage) => stage.kind === "store");
    const nodes = this.values.countNodes(this.roots);
    this.vector = chooseVector(this.sizes, kernel.outer.length, nodes, accesses(this.values, kernel));
    const reduces = kernel.stages.filter((stage) => stage.kind === "reduce").length;
    this.unroll = reduces > 0 ? (nodes > 24 * reduces ? 2 : 4) : nodes > 12 ? 1 : 2;
    this.values.vector = this.vector;
    this.values.stagesVary = this.vectorIsOuter && this.vector >= 0;
  }

  private get vectorIsOuter(): boolean {
    return this.vector < this.kernel.outer.length;
  }

  render(): void {
    const { code, values, kernel, sizes, vector } = this;
    if (product(kernel.outer) === 0) return;
    const work = product(sizes) * values.countNodes(this.roots);
    const rows = kernel.outer.map((_, axis) => axis).filter((axis) => axis !== vector);
    const rowCount = product(rows.map((axis) => sizes[axis]!));
    const splitVector = this.vectorIsOuter && vector >= 0 && rowCount < 16;
    const alone = work < WORTH_SPLITTING || (rowCount === 1 && !splitVector);
    if (alone) code.get(THREAD).if(() => code.op(op.return));
    values.hoist(this.roots, this.targets);
    const all: Range = { low: 0, high: rowCount };
    const rowRange = alone || splitVector ? all : this.share(rowCount, 1);
    const vectorSize = vector >= 0 ? sizes[vector]! : 1;
    const vectorRange = splitVector && !alone ? this.share(vectorSize, 16) : { low: 0, high: vectorSize };
    this.eachRow(rows, rowRange, () => {
      values.hoist(this.roots, this.targets);
      if (this.vectorIsOuter && vector >= 0) {
        values.loop(vector, code.bound(vectorRange.low).keep(), vectorRange.high, this.unroll, (unroll) => {
          for (let u = 0; u < unroll; u++) {
            values.unroll = u;
            values.hoist(this.roots, this.targets);
          }
          this.stages(unroll);
        });
      } else {
        this.stages(1);
      }
    });
  }

  /** This thread's part of 0 … total − 1, in multiples of `quantum`. */
  private share(total: number, quantum: number): Range {
    const { code } = this;
    const [low, high, size] = [code.local(), code.local(), code.local()];
    const clipped = (local: number): void => {
      code.get(local).i32(total).get(local).i32(total).op(op.ltU, op.select).set(local);
    };
    const count = Math.ceil(total / quantum);
    code
      .i32(count - 1)
      .get(THREADS)
      .op(op.add)
      .get(THREADS)
      .op(op.divU)
      .i32(quantum)
      .op(op.mul)
      .tee(size);
    code.get(THREAD).op(op.mul).set(low);
    clipped(low);
    code.get(low, size).op(op.add).set(high);
    clipped(high);
    return { low: { local: low }, high: { local: high } };
  }

  /** Loops over the row-major positions low … high − 1 of the given axes. */
  private eachRow(rows: readonly number[], range: Range, body: () => void): void {
    const { code, values, sizes } = this;
    const live = rows.filter((axis) => sizes[axis]! > 1);
    if (live.length === 0) {
      values.scope(body);
      return;
    }
    const row = code.local();
    code.bound(range.low).set(row);
    const locals = live.map(() => code.local());
    if (live.length === 1) locals[0] = row;
    else {
      const rest = code.get(row).keep();
      for (let at = live.length - 1; at >= 0; at--) {
        const size = sizes[live[at]!]!;
        code.get(rest).i32(size).op(op.remU).set(locals[at]!);
        if (at > 0) code.get(rest).i32(size).op(op.divU).set(rest);
      }
    }
    code.while(row, range.high, 1, () => {
      values.scope(() => {
        live.forEach((axis, at) => {
          values.bindAxis(axis, locals[at]!);
        });
        body();
      });
      const advance = (at: number): void => {
        code.get(locals[at]!).i32(1).op(op.add).tee(locals[at]!);
        if (at === 0) {
          code.op(op.drop);
          return;
        }
        code
          .i32(sizes[live[at]!]!)
          .op(op.eq)
          .if(() => {
            code.i32(0).set(locals[at]!);
            advance(at - 1);
          });
      };
      if (live.length > 1) advance(live.length - 1);
    });
  }

  /** All stages for one outer index (for `lanes` vectors of them when the vectorised axis is an outer one). */
  private stages(lanes: number): void {
    const { kernel, values } = this;
    const reduces = kernel.stages.filter((stage): stage is Reduce => stage.kind === "reduce");
    const stores = kernel.stages.filter((stage) => stage.kind === "store");
    for (const phase of phases(reduces.map((stage) => values.stagesOf(stage.value)))) {
      this.reducePhase(
        phase.map((stage) => ({ stage, reduce: reduces[stage]! })),
        lanes,
      );
    }
    const outer = stores.filter((store) => store.level === "outer" || kernel.inner.length === 0);
    const inner = stores.filter((store) => !outer.includes(store));
    // Everything is read before anything of the same iteration is written.
    const pending: (() => void)[] = [];
    for (let u = 0; u < lanes; u++) {
      values.unroll = u;
      values.hoist(
        inner.map((store) => store.value),
        inner,
      );
      const results = outer.map((store) => values.value(store.value));
      pending.push(() => {
        values.unroll = u;
        outer.forEach((store, at) => {
          values.store(store.buffer, store.index, results[at]!);
        });
      });
    }
    values.unroll = 0;
    if (inner.length > 0) {
      this.eachInner(
        lanes,
        inner.map((store) => store.value),
        inner,
        () => {
          const results = inner.map((store) => values.value(store.value));
          inner.forEach((store, at) => {
            values.store(store.buffer, store.index, results[at]!);
          });
        },
      );
    }
    for (const write of pending) write();
    values.unroll = 0;
  }

  /** Reductions that do not need each other's results share one pass over the inner range. */
  private reducePhase(list: readonly { stage: number; reduce: Reduce }[], lanes: number): void {
    const { code, values } = this;
    const across = !this.vectorIsOuter;
    const count = across ? this.unroll : lanes;
    const accumulators = list.map(({ reduce: { op: of, dtype } }) =>
      Array.from({ length: count }, () => {
        code.splat(identityWord(of.identity(dtype), dtype));
        return code.keep(V128);
      }),
    );
    const roots = list.map(({ reduce }) => reduce.value);
    this.eachInner(lanes, roots, [], () => {
      list.forEach(({ reduce: { op: of, value, dtype } }, at) => {
        const total = accumulators[at]![values.unroll]!;
        values.pushCombined(of.combine, total, values.value(value), dtype);
        // In the loop over single elements the other lanes hold nothing.
        if (across && values.width === 1 && this.vector >= 0) code.get(total).words(-1, 0, 0, 0).op(v.bitselect);
        code.set(total);
      });
    });
    list.forEach(({ stage, reduce: { op: of, dtype } }, at) => {
      const totals = accumulators[at]!;
      if (!across || this.vector < 0) {
        totals.forEach((total, u) => {
          values.unroll = u;
          if (u < (across ? 1 : lanes)) values.bindStage(stage, total);
        });
        values.unroll = 0;
        return;
      }
      const total = totals[0]!;
      const fold = (other: number): void => {
        values.pushCombined(of.combine, total, other, dtype);
        code.set(total);
      };
      for (const other of totals.slice(1)) fold(other);
      fold(code.get(total, total).shuffle(2, 3, 0, 1).keep(V128));
      fold(code.get(total, total).shuffle(1, 0, 3, 2).keep(V128));
      values.bindStage(stage, total);
    });
  }

  /** Loops over the inner range; `body` runs for each vector with `values.unroll` set. */
  private eachInner(lanes: number, roots: readonly Expr[], targets: readonly Store[], body: () => void): void {
    const { code, kernel, values, sizes, vector } = this;
    const inner = kernel.inner
      .map((_, at) => kernel.outer.length + at)
      .filter((axis) => axis !== vector && sizes[axis] !== 1);
    if (product(kernel.inner) === 0) return;
    const bodies = (count: number): void => {
      for (let u = 0; u < count; u++) {
        values.unroll = u;
        body();
      }
      values.unroll = 0;
    };
    const enter = (at: number): void => {
      for (let u = 0; u < lanes; u++) {
        values.unroll = u;
        values.hoist(roots, targets);
      }
      values.unroll = 0;
      if (at === inner.length) {
        if (vector >= 0 && !this.vectorIsOuter) {
          values.loop(vector, code.i32(0).keep(), sizes[vector]!, this.unroll, bodies);
        } else bodies(lanes);
        return;
      }
      const axis = inner[at]!;
      const local = code.local();
      code.for(local, 0, sizes[axis]!, 1, () => {
        values.scope(() => {
          values.bindAxis(axis, local);
          enter(at + 1);
        });
      });
    };
    values.scope(() => enter(0));
  }
}

type Range = { low: Bound; high: Bound };

function identityWord(value: number, dtype: DType): number {
  const type = computeType(dtype);
  return type === "f32" ? floatBits(value) : type === "bool" ? -Number(Boolean(value)) : value | 0;
}

/** Stage numbers grouped by depth: a stage comes after every stage that its value reads (a mask for each). */
function phases(reads: readonly number[]): number[][] {
  const depths: number[] = [];
  const out: number[][] = [];
  reads.forEach((mask, stage) => {
    const depth = depths.reduce((most, at, other) => (mask & (1 << other) ? Math.max(most, at + 1) : most), 0);
    depths.push(depth);
    (out[depth] ??= []).push(stage);
  });
  return out;
}
