/** State lives in cells: parameters, optimiser moments, step counts, running statistics. */
import { type DType, roundTo } from "./dtype.ts";
import { VlmError } from "./errors.ts";
import { Node } from "./graph/node.ts";
import type { ElementwiseOp } from "./op.ts";
import { dataOp } from "./ops/source.ts";
import { cutHistory } from "./runtime/history.ts";
import { type RealStorage, releaseStorage, submit } from "./runtime/realize.ts";
import { currentTrace } from "./runtime/trace.ts";
import { type Shape, sameShape, shapeError, shown } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/** Anything that has trainable cells; every module has. */
export type CellGroup = {
  /** Those that are not frozen. */
  trainable(): Iterable<Cell>;
};

/** Whether x offers cells to train, as modules do. */
export function isCellGroup(x: unknown): x is CellGroup {
  return typeof x === "object" && x !== null && typeof (x as CellGroup).trainable === "function";
}

/** Cells whose first value has not been computed yet; all are computed in one plan when one is read. */
const unborn = new Set<Cell>();
/** Those of them that start from other cells' values: they are computed before any cell changes. */
const copies = new Set<Cell>();
/** Values assigned since the last `commit`. */
const written = new Map<Cell, Node>();

/** Options of a cell. */
export type CellOptions = {
  /** Name for `memory()` and errors: "parameters", "moments", … */
  owner?: string;
};

/** A versioned value: reading gives a tensor of the current version, `assign` starts the next one. */
export class Cell {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly owner: string;
  private node: Node;
  private count = 0;

  constructor(value: Tensor, options: CellOptions = {}) {
    this.shape = value.shape;
    this.dtype = value.dtype;
    this.owner = options.owner ?? "cells";
    this.node = value.node;
    unborn.add(this);
    if (readsCell(value.node)) copies.add(this);
  }

  /** How many times the cell has been written. */
  get version(): number {
    return this.count;
  }

  /** The current version, as a tensor. */
  get value(): Tensor {
    const trace = currentTrace();
    if (trace) return trace.read(this);
    const pending = written.get(this);
    return new Tensor(pending ?? this.current());
  }

  /**
   * Starts the next version. It is computed together with all other written cells by `commit` (an optimiser's step
   * calls it); until then reads give the lazy new value. Throws `ShapeError` when shape or dtype differ.
   */
  assign(value: Tensor): void {
    if (!sameShape(value.shape, this.shape)) {
      throw shapeError(
        "CELL_SHAPE",
        `assign: a cell ${shown(this.shape)} cannot hold ${shown(value.shape)}`,
        "reshape the value",
        {
          cell: this.shape,
          value: value.shape,
        },
      );
    }
    if (value.dtype !== this.dtype) {
      throw new VlmError("DTypeError", "CELL_DTYPE", {
        what: `assign: a cell of ${this.dtype} cannot hold ${value.dtype}`,
        hint: `cast the value: x.cast("${this.dtype}")`,
      });
    }
    const trace = currentTrace();
    if (trace) trace.write(this, value);
    // A first value that nobody has read is replaced, not computed: loading weights costs no initialisation.
    else if (unborn.has(this)) {
      this.node = value.node;
      if (readsCell(value.node)) copies.add(this);
    } else written.set(this, value.node);
  }

  /** The leaf node of the committed version (its first value is computed now if it was not yet). */
  current(): Node {
    if (unborn.has(this)) bear(unborn);
    return this.node;
  }

  /** Replaces the committed version; gives the node of the one before. For the runtime. */
  advance(storage: RealStorage): Node {
    const before = this.current();
    this.count++;
    this.node = leafOf(this, storage);
    return before;
  }

  /** Takes back `advance` after a failed run. For the runtime. */
  retreat(to: Node): void {
    this.node = to;
  }
}

/** One tensor per version of a cell: gradients are taken with respect to this very node. */
function leafOf(cell: Cell, storage: RealStorage): Node {
  const node = new Node(dataOp, [], { cell, version: cell.version }, { shape: cell.shape, dtype: cell.dtype }, null);
  node.storage = storage;
  return node;
}

/** True when a value is computed from a cell. */
function readsCell(root: Node): boolean {
  const seen = new Set<Node>();
  const stack = [root];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.attributes.cell !== undefined) return true;
    stack.push(...node.inputs);
  }
  return false;
}

/** Computes first values that come from other cells, since those are about to change. */
export function settleCopies(): void {
  if (copies.size > 0) bear(copies);
}

function bear(which: ReadonlySet<Cell>): void {
  const cells = [...which].filter((cell) => unborn.has(cell));
  for (const cell of cells) {
    unborn.delete(cell);
    copies.delete(cell);
  }
  if (cells.length === 0) return;
  const nodes = cells.map((cell) => (cell as unknown as { node: Node }).node);
  // A host array or a tensor may serve several cells: each gets storage of its own, since versions are freed one by one.
  const own = nodes.map(copyOf);
  submit(
    own,
    "cells",
    cells.map((cell) => cell.owner),
  ).catch(() => {});
  cells.forEach((cell, i) => {
    cell.retreat(leafOf(cell, own[i]!.storage as RealStorage));
  });
}

/**
 * The same value in storage of its own, with no more precision than its dtype has: the reference device computes in
 * float64, and a cell that was saved and loaded must be the cell it was.
 */
export function copyOf(node: Node): Node {
  return new Node(copyOps[node.dtype], [node], {}, node, node.where);
}

const copyOp = (kept: DType): ElementwiseOp => ({
  kind: "elementwise",
  name: "copy",
  arity: 1,
  dtype: ([x]) => x!,
  eval: ([x]) => roundTo(kept, x!),
  wgsl: ([x]) => x!,
  identity: true,
  cost: 0,
});

const copyOps: Readonly<Record<DType, ElementwiseOp>> = {
  f32: copyOp("f32"),
  f16: copyOp("f16"),
  bf16: copyOp("bf16"),
  i32: copyOp("i32"),
  u32: copyOp("u32"),
  u8: copyOp("u8"),
  bool: copyOp("bool"),
};

/**
 * Computes all written cells (and `also`, typically the loss) in one plan, makes them current, frees the versions
 * before, and ends the history of everything that was computed from those. Inside `compile` it does nothing: the
 * compiled plan does the same.
 */
export function commit(also: readonly Tensor[] = []): Promise<void> {
  if (currentTrace() || written.size === 0) return Promise.resolve();
  settleCopies();
  const cells = [...written.keys()];
  const values = cells.map((cell) => copyOf(written.get(cell)!));
  written.clear();
  const extra = also.map((tensor) => tensor.node).filter((node) => node.storage === null);
  const ready = submit(
    [...values, ...extra],
    "cells",
    cells.map((cell) => cell.owner),
  );
  const replaced = cells.map((cell, i) => cell.advance(values[i]!.storage as RealStorage));
  cutHistory(new Set(replaced));
  return ready.then(
    () => {
      for (const node of replaced)
        releaseStorage(node.storage as RealStorage, "a newer version of its cell took its place");
    },
    (error) => {
      cells.forEach((cell, i) => {
        cell.retreat(replaced[i]!);
      });
      throw error;
    },
  );
}
