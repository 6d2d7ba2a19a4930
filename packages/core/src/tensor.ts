import type { DType } from "./dtype.ts";
import type { Node } from "./graph/node.ts";
import type { TensorMethods } from "./methods.ts";
import { type Pipeable, pipe } from "./pipe.ts";
import { type Shape, shapeError, shown } from "./shape.ts";

/** A fixed-length tuple of numbers. */
export type Dims<N extends number, T extends number[] = []> = T["length"] extends N ? T : Dims<N, [...T, number]>;

/**
 * A lazy, immutable array of numbers. Operations build a graph; nothing runs until data is asked for.
 * Memory is managed: no `dispose` is needed, though `using` and `dispose()` free storage at once.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: methods.ts assigns every method of the interface below.
export class Tensor {
  readonly node: Node;

  constructor(node: Node) {
    this.node = node;
  }

  get shape(): Shape {
    return this.node.shape;
  }

  get dtype(): DType {
    return this.node.dtype;
  }

  get rank(): number {
    return this.node.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return this.node.size;
  }

  /** The shape as a tuple of known length: `const [B, N, D] = x.dims(3)`. */
  dims<const N extends number>(rank: N): Dims<N> {
    if (this.rank !== rank) {
      throw shapeError(
        "RANK",
        `a tensor of rank ${rank} is needed, got ${shown(this.shape)}`,
        "reshape or unsqueeze it",
        {
          rank,
          shape: this.shape,
        },
      );
    }
    return [...this.shape] as Dims<N>;
  }

  /** The value of a module (or function) at this tensor: `x.pipe(norm).pipe(attention, { causal: true })`. */
  pipe<A extends readonly unknown[], R>(module: Pipeable<A, R>, ...args: A): R {
    return pipe(this, module, args);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    const state = this.node.storage ? (this.node.storage.gone ?? "computed") : "not computed";
    return `Tensor ${this.dtype} ${shown(this.shape)} (${state})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

// Operations and reading are attached by methods.ts, which is the module that the package exports `Tensor` from.
export interface Tensor extends TensorMethods {}
