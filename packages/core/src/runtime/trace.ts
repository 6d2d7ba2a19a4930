import type { Cell } from "../cell.ts";
import { VlmError } from "../errors.ts";
import { Node } from "../graph/node.ts";
import { dataOp } from "../ops/source.ts";
import { Tensor } from "../tensor.ts";

/** A function being recorded by `compile`: cell reads become inputs of the plan, cell writes become outputs. */
export class Trace {
  readonly reads = new Map<Cell, Node>();
  readonly writes = new Map<Cell, Node>();

  read(cell: Cell): Tensor {
    const value = this.writes.get(cell) ?? this.leaf(cell);
    return new Tensor(value);
  }

  write(cell: Cell, value: Tensor): void {
    this.leaf(cell);
    this.writes.set(cell, value.node);
  }

  private leaf(cell: Cell): Node {
    let node = this.reads.get(cell);
    if (!node) {
      node = new Node(dataOp, [], { cell }, { shape: cell.shape, dtype: cell.dtype }, null);
      this.reads.set(cell, node);
    }
    return node;
  }
}

let current: Trace | null = null;

export const currentTrace = (): Trace | null => current;

/** Records `fn`. */
export function record<T>(trace: Trace, fn: () => T): T {
  const before = current;
  current = trace;
  try {
    return fn();
  } finally {
    current = before;
  }
}

export function assertNotTracing(): void {
  if (!current) return;
  throw new VlmError("GraphError", "DATA_WHILE_TRACING", {
    what: "data was asked for inside compile(): the function is being recorded and has no values yet",
    hint: "return the tensor from the compiled function and read it outside; use where() instead of if",
  });
}
