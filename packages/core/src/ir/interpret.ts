/**
 * Runs a schedule in plain JavaScript, one element at a time. Slow and obvious: tests compare rendered kernels with it.
 * Every op rounds to f32 (or wraps) as devices do; sums and products of reductions are kept in float64.
 */
import { type ComputeType, computeType, type DType, type HostArray, hostArray, roundTo } from "../dtype.ts";
import type { Expr } from "./expr.ts";
import type { ContractKernel, CustomKernel, Kernel, LoopKernel, Schedule, Store } from "./kernel.ts";
import type { Linear } from "./linear.ts";

/** Loop variables and finished reductions of one iteration; `memo` holds expressions already computed in it. */
type Iteration = { axes: number[]; stages: number[]; memo: Map<string, number> };

/** Bounds are checked: an index outside its buffer throws, which a device would not. */
export function interpret(schedule: Schedule, inputs: readonly HostArray[], outputs: readonly HostArray[]): void {
  const buffers = schedule.buffers.map(({ role, position, dtype, size }) =>
    role === "input" ? inputs[position]! : role === "output" ? outputs[position]! : hostArray(dtype, size),
  );
  for (const kernel of schedule.kernels) run(kernel, schedule, buffers);
}

function run(kernel: Kernel, schedule: Schedule, buffers: readonly HostArray[]): void {
  if (kernel.kind === "loop") runLoop(kernel, schedule, buffers);
  else if (kernel.kind === "contract") runContract(kernel, schedule, buffers);
  else runCustom(kernel, schedule, buffers);
}

/** All reads of an outer iteration come before its writes, so a store may overwrite what its own iteration loads. */
function runLoop(kernel: LoopKernel, schedule: Schedule, buffers: readonly HostArray[]): void {
  forEachIndex(kernel.outer, (outer) => {
    const stages: number[] = [];
    const writes: (() => void)[] = [];
    for (const stage of kernel.stages) {
      if (stage.kind === "store") {
        forEachIndex(stage.level === "inner" ? kernel.inner : [], (inner) => {
          writes.push(store(stage, { axes: [...outer, ...inner], stages, memo: new Map() }, schedule, buffers));
        });
        continue;
      }
      const { op, value, dtype } = stage;
      const type = computeType(dtype);
      let total = op.identity(dtype);
      forEachIndex(kernel.inner, (inner) => {
        const next = evaluate(value, { axes: [...outer, ...inner], stages, memo: new Map() }, buffers);
        const combined = op.combine.eval([total, next], [type, type], type);
        total = type === "f32" ? combined : wrap(type, combined);
      });
      stages.push(wrap(type, total));
    }
    for (const write of writes) write();
  });
}

function runContract(kernel: ContractKernel, schedule: Schedule, buffers: readonly HostArray[]): void {
  const type = computeType(kernel.dtype);
  const writes: (() => void)[] = [];
  forEachIndex([kernel.batch, kernel.rows, kernel.columns], (index) => {
    let total = 0;
    for (let k = 0; k < kernel.sum; k++) {
      const iteration = { axes: [...index, k], stages: [], memo: new Map() };
      total += evaluate(kernel.a, iteration, buffers) * evaluate(kernel.b, iteration, buffers);
    }
    for (const each of kernel.stores) {
      const iteration = { axes: [...index], stages: [wrap(type, total)], memo: new Map() };
      writes.push(store(each, iteration, schedule, buffers));
    }
  });
  for (const write of writes) write();
}

function runCustom(kernel: CustomKernel, _schedule: Schedule, buffers: readonly HostArray[]): void {
  const { op, attributes } = kernel;
  if (!op.eval) throw new Error(`${kernel.name}: no eval to interpret`);
  const inputs = kernel.inputs.map(({ buffer, shape, dtype }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return { shape, dtype, data: buffers[buffer]!.subarray(0, size) };
  });
  op.eval(inputs, attributes).forEach((result, i) => {
    const { buffer, dtype } = kernel.outputs[i]!;
    const target = buffers[buffer]!;
    result.forEach((value, at) => {
      target[at] = roundTo(dtype, value);
    });
  });
}

function store(each: Store, iteration: Iteration, schedule: Schedule, buffers: readonly HostArray[]): () => void {
  const value = evaluate(each.value, iteration, buffers);
  const at = position(each.index, iteration, buffers);
  const target = buffers[each.buffer]!;
  if (!(at >= 0 && at < target.length)) throw new Error(`store at ${at} of ${target.length} (buffer ${each.buffer})`);
  const { dtype } = schedule.buffers[each.buffer]!;
  return () => {
    target[at] = roundTo(dtype, value);
  };
}

function evaluate(expr: Expr, iteration: Iteration, buffers: readonly HostArray[]): number {
  const known = iteration.memo.get(expr.key);
  if (known !== undefined) return known;
  const value = compute(expr, iteration, buffers);
  iteration.memo.set(expr.key, value);
  return value;
}

function compute(expr: Expr, iteration: Iteration, buffers: readonly HostArray[]): number {
  switch (expr.kind) {
    case "load": {
      const at = position(expr.index, iteration, buffers);
      const source = buffers[expr.buffer]!;
      if (!(at >= 0 && at < source.length)) throw new Error(`load of ${at} of ${source.length} (${expr.buffer})`);
      return source[at]!;
    }
    case "constant":
      return wrap(computeType(expr.dtype), expr.value);
    case "index":
      return position(expr.index, iteration, buffers);
    case "guard": {
      const inside = expr.conditions.every(({ index, low, high }) => {
        const at = position(index, iteration, buffers);
        return low <= at && at < high;
      });
      return inside ? evaluate(expr.value, iteration, buffers) : wrap(computeType(expr.dtype), expr.otherwise);
    }
    case "apply": {
      const args = expr.args.map((arg) => evaluate(arg, iteration, buffers));
      const types = expr.args.map((arg) => computeType(arg.dtype));
      const type = computeType(expr.dtype);
      const result = wrap(type, expr.op.eval(args, types, type));
      return expr.dtype === "u8" ? result & 255 : result;
    }
    case "stage":
      return iteration.stages[expr.stage]!;
  }
}

const wrap = (type: ComputeType, value: number): number => roundTo(type as DType, value);

function position(index: Linear, iteration: Iteration, buffers: readonly HostArray[]): number {
  let sum = index.constant;
  for (const { atom, times } of index.terms) {
    let value: number;
    if (atom.kind === "axis") value = iteration.axes[atom.axis]!;
    else if (atom.kind === "value") value = evaluate(atom.value, iteration, buffers);
    else {
      const of = position(atom.of, iteration, buffers);
      value = atom.kind === "div" ? Math.floor(of / atom.by) : of - Math.floor(of / atom.by) * atom.by;
    }
    sum += times * value;
  }
  return sum;
}

/** Calls `visit` with every index of a box in row-major order; once for the empty shape. */
function forEachIndex(shape: readonly number[], visit: (index: readonly number[]) => void): void {
  if (shape.some((n) => n === 0)) return;
  const index = shape.map(() => 0);
  for (;;) {
    visit(index);
    let axis = shape.length - 1;
    while (axis >= 0 && ++index[axis]! === shape[axis]) index[axis--] = 0;
    if (axis < 0) return;
  }
}
