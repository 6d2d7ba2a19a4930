/** Functions recorded once per argument structure and replayed as one plan. */
import { type Cell, REPLACED, settleCopies } from "./cell.ts";
import { currentContext, snapshotContext } from "./context.ts";
import { debugLevel } from "./debug.ts";
import { bytesPerElement } from "./dtype.ts";
import { VlmError } from "./errors.ts";
import { Node } from "./graph/node.ts";
import { buildProgram, type Program } from "./graph/program.ts";
import { copyOf } from "./ops/copy.ts";
import type { IndexCheck } from "./ops/indices.ts";
import { dataOp } from "./ops/source.ts";
import { type Device, defaultDevice } from "./runtime/device.ts";
import { frozenSet } from "./runtime/frozen.ts";
import { cutHistory } from "./runtime/history.ts";
import { flagsOf } from "./runtime/index-checks.ts";
import { enqueue, execute, RealStorage, release, submit } from "./runtime/realize.ts";
import { record, Trace } from "./runtime/trace.ts";
import { sizeOf } from "./shape.ts";
import { Tensor } from "./tensor.ts";
import { mapTree, type Tree } from "./tree.ts";

type Source = { argument: number } | { cell: Cell } | { captured: Node };

type Plan = {
  program: Program;
  checks: readonly IndexCheck[];
  sources: readonly Source[];
  /** The function's result with tensors replaced by output positions. */
  result: Tree<OutputAt>;
  writes: readonly Cell[];
};

/** Options of `compile`. */
export type CompileOptions = {
  /**
   * When it fires, calls that wait for their turn or for the device to compile their kernels reject with its reason, as
   * later calls do, and their cells are not written. (The driver goes on: another function finds its kernels ready.)
   */
  signal?: AbortSignal | undefined;
};

class OutputAt {
  readonly position: number;
  constructor(position: number) {
    this.position = position;
  }
}

/**
 * Records `fn` at its first call for each structure of arguments (shapes, dtypes, plain values, device, mode, frozen parameters) and
 * replays one plan afterwards. Tensors in the arguments and cells are inputs; plain numbers are frozen at recording.
 * Cells that `fn` writes are written when the call is made. Asking for data inside `fn` throws `DATA_WHILE_TRACING`.
 */
export function compile<A extends readonly unknown[], R extends Tree<Tensor>>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): (...args: A) => Promise<R> {
  // Least recently used first: texts of every length would else keep a plan each.
  const plans = new Map<string, Plan>();
  return async (...args) => {
    // What is ambient is that of the call, not of the time when the device has been opened.
    const asCalled = snapshotContext();
    const tensors: Tensor[] = [];
    const structure = `${currentContext().training} ${debugLevel() === 1} ${frozenSet()} ${describe(args, tensors)}`;
    const device = await defaultDevice();
    const key = `${device.name} ${structure}`;
    const plan = plans.get(key) ?? asCalled(() => trace(fn, args, tensors, device));
    plans.delete(key);
    plans.set(key, plan);
    if (plans.size > KEPT_PLANS) plans.delete(plans.keys().next().value!);
    return run(plan, tensors, device, options.signal) as R;
  };
}

/** Argument structures that one compiled function remembers. */
const KEPT_PLANS = 256;

/** A text that equal argument structures share; collects the tensors on the way. */
function describe(value: unknown, tensors: Tensor[]): string {
  if (value instanceof Tensor) {
    tensors.push(value);
    return `${value.dtype}[${value.shape.join(" ")}]`;
  }
  if (Array.isArray(value)) return `[${value.map((item) => describe(item, tensors)).join(",")}]`;
  if (value === null || typeof value !== "object") {
    if (typeof value === "function") return `function ${identityOf(value)}`;
    // Texts in quotes, so that none can look like a structure.
    return typeof value === "string"
      ? JSON.stringify(value)
      : `${typeof value} ${Object.is(value, -0) ? "-0" : String(value)}`;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return `object ${identityOf(value)}`;
  return `{${Object.entries(value)
    .map(([name, item]) => `${JSON.stringify(name)}:${describe(item, tensors)}`)
    .join(",")}}`;
}

const identities = new WeakMap<object, number>();
let identityCount = 0;

function identityOf(value: object): number {
  let id = identities.get(value);
  if (id === undefined) identities.set(value, (id = identityCount++));
  return id;
}

function trace<A extends readonly unknown[]>(
  fn: (...args: A) => Tree<Tensor>,
  args: A,
  tensors: readonly Tensor[],
  device: Device,
): Plan {
  const placeholders = tensors.map(({ shape, dtype }) => new Tensor(new Node(dataOp, [], {}, { shape, dtype }, null)));
  const recording = new Trace();
  const replaced = replaceTensors(args, tensors, placeholders) as unknown as A;
  const result = record(recording, () => fn(...replaced));
  if (result instanceof Promise) {
    // What it may have asked for is refused too; one error is enough.
    result.catch(() => {});
    throw new VlmError("GraphError", "COMPILE_ASYNC", {
      what: "compile: the function is asynchronous",
      hint: "build the graph synchronously and await outside",
    });
  }
  const outputs: Node[] = [];
  const shape = mapTree(result, Tensor, (tensor) => {
    outputs.push(tensor.node);
    return new OutputAt(outputs.length - 1);
  });
  const writes = [...recording.writes.keys()];
  for (const cell of writes) outputs.push(copyOf(recording.writes.get(cell)!));
  const { checks, flags } = flagsOf(outputs);
  const { program, leaves } = buildProgram([...outputs, ...flags], device.supports);
  const argumentOf = new Map(placeholders.map((placeholder, i) => [placeholder.node, i]));
  const cellOf = new Map([...recording.reads].map(([cell, node]) => [node, cell]));
  const sources = leaves.map((leaf): Source => {
    const argument = argumentOf.get(leaf);
    if (argument !== undefined) return { argument };
    const cell = cellOf.get(leaf);
    return cell ? { cell } : { captured: leaf };
  });
  return { program, checks, sources, result: shape, writes };
}

function replaceTensors(value: unknown, from: readonly Tensor[], to: readonly Tensor[]): unknown {
  let next = 0;
  const visit = (part: unknown): unknown => {
    if (part instanceof Tensor) return to[next++];
    if (Array.isArray(part)) return part.map(visit);
    if (part === null || typeof part !== "object") return part;
    const prototype = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, item]) => [name, visit(item)]));
  };
  const result = visit(value);
  if (next !== from.length) throw new Error("arguments changed while they were read");
  return result;
}

function run(plan: Plan, tensors: readonly Tensor[], device: Device, signal: AbortSignal | undefined): Tree<Tensor> {
  const { program, checks, writes } = plan;
  const leaves = plan.sources.map((source) => {
    if ("argument" in source) return tensors[source.argument]!.node;
    return "cell" in source ? source.cell.current() : source.captured;
  });
  // Lazy arguments and first values are computed first, in the same queue; whoever reads the results gets their errors.
  submit(leaves.filter((leaf) => !leaf.storage)).catch(() => {});
  const specs = program.outputs.slice(0, program.outputs.length - 2 * checks.length).map((at) => program.nodes[at]!);
  const values = specs.length - writes.length;
  let settle!: (verdict: Promise<void>) => void;
  const ready = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const storages = specs.map(({ shape, dtype }, i) => {
    const owner = i < values ? "tensors" : writes[i - values]!.owner;
    return new RealStorage(sizeOf(shape) * bytesPerElement(dtype), ready, owner);
  });
  const nodes = specs.slice(0, values).map((spec, i) => {
    const node = new Node(dataOp, [], {}, spec, null);
    node.storage = storages[i]!;
    storages[i]!.origin = node.origin;
    return node;
  });
  settleCopies();
  const before = writes.map((cell, i) => cell.advance(storages[values + i]!));
  cutHistory(new Set(before));
  settle(
    enqueue(() => execute(device, program, leaves, storages, checks, signal), signal).then(
      () => {
        for (const node of before) release(node, REPLACED);
      },
      (error) => {
        for (const storage of storages) storage.failure ??= error;
        writes.forEach((cell, i) => {
          cell.retreat(before[i]!);
        });
        throw error;
      },
    ),
  );
  return mapTree(plan.result, OutputAt, ({ position }) => new Tensor(nodes[position]!));
}
