/** State lives in cells: parameters, optimiser moments, step counts, running statistics. */
import type { DType } from "./dtype.ts";
import { VlmError } from "./errors.ts";
import { Node } from "./graph/node.ts";
import { copyOf } from "./ops/copy.ts";
import { dataOp } from "./ops/source.ts";
import { cutHistory } from "./runtime/history.ts";
import { bear, noteFirst, type RealStorage, release, submit } from "./runtime/realize.ts";
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

/** Cells that start from other cells' values: their first values are computed before any cell changes. */
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
  /** The first value until somebody asks for it, then the leaf of the committed version. */
  private node: Node;
  private asked = false;
  private count = 0;

  constructor(value: Tensor, options: CellOptions = {}) {
    this.shape = value.shape;
    this.dtype = value.dtype;
    this.owner = options.owner ?? "cells";
    this.node = value.node;
    if (cellsIn(value.node).length > 0) copies.add(this);
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
    // A first value that nobody has asked for is replaced, not computed: loading weights costs no initialisation.
    else if (!this.asked) {
      this.node = value.node;
      if (cellsIn(value.node).length > 0) copies.add(this);
    } else written.set(this, value.node);
  }

  /** The leaf node of the committed version. A first value is computed by the first plan that reads it. */
  current(): Node {
    if (!this.asked) {
      this.asked = true;
      const first = this.node;
      this.node = leafOf(this);
      noteFirst(this.node, first, this.owner, copies.has(this) ? cellsIn(first) : []);
    }
    return this.node;
  }

  /** Replaces the committed version; gives the node of the one before. For the runtime. */
  advance(storage: RealStorage): Node {
    const before = this.current();
    this.count++;
    this.node = leafOf(this);
    this.node.storage = storage;
    return before;
  }

  /** Takes back `advance` after a failed run. For the runtime. */
  retreat(to: Node): void {
    // Where the run before failed too, it has gone back further already.
    if (!(to.storage as RealStorage | null)?.failure) this.node = to;
  }
}

/** One tensor per version of a cell: gradients are taken with respect to this very node. */
function leafOf(cell: Cell): Node {
  return new Node(dataOp, [], { cell, version: cell.version }, { shape: cell.shape, dtype: cell.dtype }, null);
}

/** The leaves of cells that a value is computed from. */
function cellsIn(root: Node): Node[] {
  const found: Node[] = [];
  const seen = new Set<Node>();
  const stack = [root];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.attributes.cell !== undefined) found.push(node);
    stack.push(...node.inputs);
  }
  return found;
}

/** Computes first values that come from other cells, since those are about to change. */
export function settleCopies(): void {
  if (copies.size === 0) return;
  bear([...copies].map((cell) => cell.current()));
  copies.clear();
}

/** Why the data of an old version is gone. */
export const REPLACED = "a newer version of its cell took its place";

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
      for (const node of replaced) release(node, REPLACED);
    },
    (error) => {
      cells.forEach((cell, i) => {
        cell.retreat(replaced[i]!);
      });
      throw error;
    },
  );
}
