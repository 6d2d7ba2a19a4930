/** Tensors that live in cells: what a module learns, and what it remembers. */
import { Cell, type DType, isFrozen, type Shape, setFrozen, Tensor } from "@vlm/core";

/**
 * A tensor whose value is the current version of a cell. It is used like any tensor, `x.matmul(this.weight)`; what it
 * stands for changes when the cell is written. Nothing is computed before the first use: a value that is loaded over
 * costs nothing.
 */
export abstract class CellTensor extends Tensor {
  private held: Cell;

  constructor(value: Tensor, owner: string) {
    super(value.node);
    this.held = new Cell(value, { owner });
    // An own accessor, because `Tensor` declares `node` as a field.
    Object.defineProperty(this, "node", { get: () => this.held.value.node, configurable: true });
  }

  /** Where the value is kept. */
  get cell(): Cell {
    return this.held;
  }

  override get shape(): Shape {
    return this.held.shape;
  }

  override get dtype(): DType {
    return this.held.dtype;
  }

  override get rank(): number {
    return this.held.shape.length;
  }

  override get size(): number {
    return this.held.shape.reduce((product, n) => product * n, 1);
  }

  /** Starts the next version; computed at the next `commit` (an optimiser's step), or by the compiled function. */
  assign(value: Tensor): void {
    this.held.assign(value);
  }

  /** The current version, as a tensor that stays what it is when the cell is written. */
  get value(): Tensor {
    return this.held.value;
  }

  /**
   * Sets a value of the same shape and perhaps another dtype, which then is the parameter's. Optimisers made before
   * keep the old cell: do it first.
   */
  replace(value: Tensor): void {
    const before = this.held;
    const fits = value.shape.join() === before.shape.join();
    // A wrong shape is `assign`'s error.
    if (value.dtype === before.dtype || !fits) before.assign(value);
    else {
      this.held = new Cell(value, { owner: before.owner });
      setFrozen(this.held, isFrozen(before));
    }
  }

  /** Kind, dtype and shape. */
  override toString(): string {
    return `${this.constructor.name} ${this.dtype} [${this.shape.join(" ")}]`;
  }
}

/** A tensor that training changes, unless it is frozen. */
export class Parameter extends CellTensor {
  constructor(value: Tensor) {
    super(value, "parameters");
  }
}

/** A tensor that belongs to a module's state and that no gradient changes: running statistics, tables. */
export class StateBuffer extends CellTensor {
  constructor(value: Tensor) {
    super(value, "buffers");
  }
}
