/**
 * Loop kernels. One axis is vectorised: an inner one (a reduction along rows ends with a sum over lanes) or an outer one
 * (each lane has a reduction of its own); whichever makes loads and stores contiguous. What does not depend on a loop's
 * variable is computed before the loop. Threads split the outer range; no sum depends on how.
 */

import type { Expr } from "../../ir/expr.ts";
import type { LoopKernel, Stage, Store } from "../../ir/kernel.ts";
import { strideOf } from "../../ir/linear.ts";
import type { Bound, Code } from "./assembler.ts";
import { I32, op, V128, v } from "./opcodes.ts";
import type { PlanContext } from "./plan.ts";
import { eachRow, type Range } from "./rows.ts";
import { splitOuter } from "./split-outer.ts";
import { identityWord, Values } from "./values.ts";
import { chooseVector, partOf } from "./vector-axis.ts";

/** The parameters of every kernel function. */
export const KERNEL_PARAMETERS = [I32, I32];
export const THREAD = 0;
export const THREADS = 1;

type Reduce = Extract<LoopKernel["stages"][number], { kind: "reduce" }>;

/** Kernels with fewer element operations than this run on one thread. */
const WORTH_SPLITTING = 16384;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Renders one loop kernel; gives the bytes of scratch memory it needs. */
export function renderLoop(whole: LoopKernel, plan: PlanContext): number {
  if (product(whole.outer) === 0) return 0;
  const kernel = splitOuter(whole);
  const { code } = plan;
  let renderer!: LoopRenderer;
  const part = plan.define(PART_PARAMETERS, (inner, pushBase) => {
    renderer = new LoopRenderer(inner, kernel, plan, pushBase);
    renderer.render();
  });
  const { split, memoBytes, work } = renderer;
  const pushMemo = (): Code => {
    if (memoBytes === 0) return code.i32(0);
    plan.pushScratch();
    return code.get(THREAD).i32(memoBytes).op(op.mul, op.add);
  };
  const alone = work < WORTH_SPLITTING || split.total <= split.quantum;
  if (alone) code.get(THREAD).if(() => code.op(op.return));
  const range = alone ? { low: 0, high: split.total } : share(code, split.total, split.quantum);
  // In several calls: the optimising compiler's code is entered at the next one.
  const calls = Math.ceil(work / CALL_WORK);
  const step = split.quantum * Math.max(1, Math.ceil(split.total / split.quantum / Math.max(1, calls)));
  const low = code.bound(range.low).keep();
  const high = code.local();
  code.while(low, range.high, step, () => {
    code.get(low).i32(step).op(op.add).tee(high).bound(range.high).get(high).bound(range.high).op(op.ltU, op.select);
    code.set(high).get(low, high);
    pushMemo().call(part);
  });
  return memoBytes * plan.threads;
}

/** First and last + 1 of the rows or vectorised elements, and scratch memory of this thread. */
const PART_PARAMETERS = [I32, I32, I32];
const LOW = 0;
const HIGH = 1;

/** Element operations in one call of a kernel's part. */
const CALL_WORK = 262144;

/** This thread's part of 0 … total − 1, in multiples of `quantum`. */
function share(code: Code, total: number, quantum: number): Range {
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

class LoopRenderer {
  private readonly code: Code;
  private readonly kernel: LoopKernel;
  private readonly values: Values;
  private readonly sizes: readonly number[];
  private readonly vector: number;
  private readonly unroll: number;
  private readonly roots: readonly Expr[];
  private readonly targets: readonly Store[];
  private readonly reduces: readonly Reduce[];
  /** Outer axes other than the vectorised one. */
  private readonly rows: readonly number[];
  private readonly splitsVector: boolean;
  /** Goes through blocks of 16 vectorised elements in the outermost loop: another axis is contiguous in what is loaded. */
  private readonly transposes: boolean;
  /** What is split among threads: rows, or elements of the vectorised axis. */
  readonly split: { total: number; quantum: number };
  /** Element operations, roughly. */
  readonly work: number;
  memoBytes = 0;

  constructor(code: Code, kernel: LoopKernel, plan: PlanContext, pushBase: (buffer: number) => void) {
    this.code = code;
    this.kernel = kernel;
    this.values = new Values(code, plan.specs, pushBase, plan.library.tile.fused);
    const { values } = this;
    this.sizes = [...kernel.outer, ...kernel.inner];
    this.roots = kernel.stages.map((stage) => stage.value);
    this.targets = kernel.stages.filter((stage) => stage.kind === "store");
    this.reduces = kernel.stages.filter((stage) => stage.kind === "reduce");
    const isOnce = (stage: Stage): boolean =>
      stage.kind === "store" && stage.level === "outer" && kernel.inner.length > 0;
    const looped = partOf(
      values,
      kernel.stages.filter((stage) => !isOnce(stage)),
    );
    const once = partOf(values, kernel.stages.filter(isOnce));
    const nodes = values.countNodes(this.roots);
    this.vector = chooseVector(kernel, looped, once);
    values.vector = this.vector;
    values.stagesVary = this.vectorIsOuter && this.vector >= 0;
    const count = this.reduces.length;
    // What is stored once per sum (a whole optimiser step, for a bias) does not make the loop of the sums longer.
    const size = looped.nodes;
    if (count === 0) this.unroll = nodes > 12 ? 1 : 2;
    else if (size > 24 * count) this.unroll = 2;
    else this.unroll = values.stagesVary && size <= 3 * count ? 8 : 4;
    const rows = kernel.outer.map((_, axis) => axis).filter((axis) => axis !== this.vector);
    const rowCount = product(rows.map((axis) => this.sizes[axis]!));
    const vectorSize = this.sizes[this.vector] ?? 1;
    const across = rows.find((axis) =>
      [...looped.accesses, ...once.accesses].some(({ index, store }) => {
        const stride = strideOf(index, this.vector);
        return !store && strideOf(index, axis) === 1 && stride !== null && Math.abs(stride) >= 16;
      }),
    );
    this.transposes = values.stagesVary && count === 0 && across !== undefined && vectorSize >= 16;
    this.rows = this.transposes ? [...rows.filter((axis) => axis !== across), across!] : rows;
    const quantum = Math.max(16, 4 * this.unroll);
    const fewRows = rowCount < Math.min(16, vectorSize / quantum);
    this.splitsVector = values.stagesVary && (this.transposes || fewRows);
    this.split = this.splitsVector ? { total: vectorSize, quantum } : { total: rowCount, quantum: 1 };
    this.work = product(this.sizes) * (count === 0 ? nodes : size) + product(kernel.outer) * nodes;
  }

  private get vectorIsOuter(): boolean {
    return this.vector < this.kernel.outer.length;
  }

  render(): void {
    const { code, values, sizes, vector } = this;
    values.hoist(this.roots, this.targets);
    const [low, high] = [{ local: LOW }, { local: HIGH }];
    const rowCount = product(this.rows.map((axis) => sizes[axis]!));
    const run = (rows: Range, elements: Range): void =>
      eachRow(values, sizes, this.rows, rows, () => {
        values.hoist(this.roots, this.targets);
        if (!values.stagesVary) {
          this.stages(1);
          return;
        }
        values.loop(vector, code.bound(elements.low).keep(), elements.high, this.unroll, (unroll) => {
          for (let u = 0; u < unroll; u++) {
            values.unroll = u;
            values.hoist(this.roots, this.targets);
          }
          this.stages(unroll);
        });
      });
    if (!this.splitsVector) run({ low, high }, { low: 0, high: sizes[vector] ?? 1 });
    else if (!this.transposes) run({ low: 0, high: rowCount }, { low, high });
    else {
      const block = code.get(LOW).keep();
      const end = code.local();
      code.while(block, high, 16, () => {
        code.get(block).i32(16).op(op.add).tee(end).get(HIGH, end).get(HIGH).op(op.ltU, op.select).set(end);
        run({ low: 0, high: rowCount }, { low: { local: block }, high: { local: end } });
      });
    }
  }

  /** All stages for one outer index (for `lanes` vectors of them when the vectorised axis is an outer one). */
  private stages(lanes: number): void {
    const { kernel, values, reduces } = this;
    const stores = kernel.stages.filter((stage) => stage.kind === "store");
    const outer = stores.filter((store) => store.level === "outer" || kernel.inner.length === 0);
    const inner = stores.filter((store) => !outer.includes(store));
    const passes = phases(reduces.map((stage) => values.stagesOf(stage.value)));
    const rootsOf = passes.map((stages) => stages.map((stage) => reduces[stage]!.value));
    rootsOf.push(inner.map((store) => store.value));
    passes.forEach((stages, at) => {
      const kept = this.keptFor(rootsOf[at]!, rootsOf.slice(at + 1).flat());
      this.reducePhase(
        stages.map((stage) => ({ stage, reduce: reduces[stage]! })),
        lanes,
        kept,
      );
      for (const expr of kept) values.memo.set(expr.key, this.slot(expr));
    });
    // Everything is read before anything of the same iteration is written.
    const pending: (() => void)[] = [];
    for (let u = 0; u < lanes; u++) {
      values.unroll = u;
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
      const roots = inner.map((store) => store.value);
      this.eachInner(lanes, roots, inner, (count) => {
        for (let u = 0; u < count; u++) {
          values.unroll = u;
          const results = roots.map((root) => values.value(root));
          inner.forEach((store, at) => {
            values.store(store.buffer, store.index, results[at]!);
          });
        }
      });
    }
    for (const write of pending) write();
    values.unroll = 0;
    values.memo.clear();
  }

  /** Costly values of one pass over a row that a later pass needs again: kept in scratch memory, a row for each. */
  private keptFor(now: readonly Expr[], later: readonly Expr[]): Expr[] {
    const { kernel, sizes, values, vector } = this;
    const size = sizes[vector]!;
    if (this.vectorIsOuter || product(kernel.inner) !== size || size > MEMO_ELEMENTS) return [];
    const again = values.parts(later);
    const kept: Expr[] = [];
    const seen = new Set<Expr>();
    const visit = (source: Expr): void => {
      const expr = values.expand(source);
      if (seen.has(expr) || values.memo.has(expr.key)) return;
      seen.add(expr);
      if (again.has(expr) && values.countNodes([expr]) >= MEMO_NODES && values.variesInLane(expr)) kept.push(expr);
      else if (expr.kind === "apply") expr.args.forEach(visit);
    };
    now.forEach(visit);
    return kept;
  }

  private readonly slots = new Map<string, number>();

  /** Byte offset of a kept value's row. */
  private slot(expr: Expr): number {
    let slot = this.slots.get(expr.key);
    if (slot === undefined) {
      slot = this.memoBytes;
      this.slots.set(expr.key, slot);
      this.memoBytes += Math.ceil(this.sizes[this.vector]! / 16) * 64;
    }
    return slot;
  }

  /** Reductions that do not need each other's results share one pass over the inner range. */
  private reducePhase(list: readonly { stage: number; reduce: Reduce }[], lanes: number, kept: readonly Expr[]): void {
    const { code, values } = this;
    const across = !this.vectorIsOuter;
    const count = across ? this.unroll : lanes;
    const fresh = (): number[][] => list.map(() => Array.from({ length: count }, () => code.vector()));
    const clear = (locals: readonly (readonly number[])[]): void => {
      list.forEach(({ reduce: { op: of, dtype } }, at) => {
        for (const local of locals[at]!) code.splat(identityWord(of.identity(dtype), dtype)).set(local);
      });
    };
    const join = ({ op: of, dtype }: Reduce, into: number, other: number): void => {
      values.pushCombined(of.combine, into, other, dtype);
      code.set(into);
    };
    const totals = fresh();
    clear(totals);
    let sums = totals;
    const blocks: Blocks = (body) => {
      const above = sums;
      sums = fresh();
      clear(sums);
      body();
      list.forEach(({ reduce }, at) => {
        above[at]!.forEach((total, u) => {
          join(reduce, total, sums[at]![u]!);
        });
      });
      sums = above;
    };
    const roots = list.map(({ reduce }) => reduce.value);
    this.eachInner(
      lanes,
      roots,
      [],
      (vectors) => {
        // One after the other: operands as far apart as a cache is large would push out each other's lines.
        list.forEach(({ reduce: { op: of, value, dtype } }, at) => {
          for (let u = 0; u < vectors; u++) {
            values.unroll = u;
            const sum = sums[at]![u]!;
            values.pushCombined(of.combine, sum, values.value(value), dtype);
            // In the loop over single elements the other lanes hold nothing.
            if (across && values.width === 1) code.get(sum).words(-1, 0, 0, 0).op(v.bitselect);
            code.set(sum);
          }
        });
        for (let u = 0; u < vectors; u++) {
          values.unroll = u;
          for (const expr of kept) values.remember(expr, this.slot(expr));
        }
      },
      blocks,
    );
    list.forEach(({ stage, reduce }, at) => {
      const [total, ...others] = totals[at]! as [number, ...number[]];
      if (across) {
        for (const other of others) join(reduce, total, other);
        join(reduce, total, code.get(total, total).shuffle(2, 3, 0, 1).keep(V128));
        join(reduce, total, code.get(total, total).shuffle(1, 0, 3, 2).keep(V128));
        values.bindStage(stage, total);
        return;
      }
      totals[at]!.forEach((each, u) => {
        values.unroll = u;
        values.bindStage(stage, each);
      });
      values.unroll = 0;
    });
  }

  /**
   * Loops over the inner range; `body` is told how many vectors to compute, one for each `values.unroll`. Long runs are
   * cut into blocks, for sums that are exact enough: each block has sums of its own, which then are added up. So are
   * very long ones into blocks of blocks: in f32, each number should be of at most some hundred that are added to one sum.
   */
  private eachInner(
    lanes: number,
    roots: readonly Expr[],
    targets: readonly Store[],
    body: (vectors: number) => void,
    blocks?: Blocks,
  ): void {
    const { code, kernel, values, sizes, vector } = this;
    const across = !this.vectorIsOuter;
    const inner = kernel.inner
      .map((_, at) => kernel.outer.length + at)
      .filter((axis) => axis !== vector && sizes[axis] !== 1);
    if (product(kernel.inner) === 0) return;
    const bodies = (count: number): void => {
      body(count);
      values.unroll = 0;
    };
    const hoist = (): void => {
      for (let u = 0; u < lanes; u++) {
        values.unroll = u;
        values.hoist(roots, targets);
      }
      values.unroll = 0;
    };
    /** The innermost loop, over `axis` from its local `at`. */
    const innermost = (axis: number, at: number, end: Bound): void => {
      if (across) values.loop(axis, at, end, this.unroll, bodies);
      else {
        code.while(at, end, 1, () =>
          values.scope(() => {
            values.bindAxis(axis, at);
            hoist();
            bodies(lanes);
          }),
        );
      }
    };
    const enter = (depth: number): void => {
      hoist();
      const axis = across && depth === inner.length ? vector : inner[depth];
      if (axis === undefined) {
        bodies(lanes);
        return;
      }
      const at = code.i32(0).keep();
      const size = sizes[axis]!;
      const last = across ? depth === inner.length : depth === inner.length - 1;
      if (!last) {
        code.while(at, size, 1, () =>
          values.scope(() => {
            values.bindAxis(axis, at);
            enter(depth + 1);
          }),
        );
        return;
      }
      const block = across ? 4096 : 256;
      if (!blocks || (size <= 2 * block && (depth === 0 || size < block / 16))) {
        innermost(axis, at, size);
        return;
      }
      /** From `at` to `limit`, in parts of `length`, each with sums of its own. */
      const inParts = (length: number, limit: Bound, part: (end: number) => void): void => {
        const end = code.local();
        code.loop(() => {
          code.get(at).i32(length).op(op.add).tee(end).bound(limit).get(end).bound(limit);
          code.op(op.ltU, op.select).set(end);
          blocks(() => part(end));
          code.get(at).bound(limit).op(op.ltS);
        });
      };
      const inBlocks = (limit: Bound): void => inParts(block, limit, (end) => innermost(axis, at, { local: end }));
      if (size <= 4 * LONG_RUN * block) inBlocks(size);
      else inParts(LONG_RUN * block, size, (end) => inBlocks({ local: end }));
    };
    values.scope(() => enter(0));
  }
}

/** Emits one block of a long run, with sums of its own that are added to those around it. */
type Blocks = (body: () => void) => void;

/** Blocks in a block of blocks. */
const LONG_RUN = 64;

/** Rows up to this length, and values of at least so many operations, are kept rather than computed twice. */
const MEMO_ELEMENTS = 16384;
const MEMO_NODES = 8;

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
