import type { Buffer } from "../backends/backend.ts";
import { debugLevel } from "../debug.ts";
import type { DType } from "../dtype.ts";
import type { Attributes, Op, TensorSpec } from "../op.ts";
import type { Device } from "../runtime/device.ts";

/** Storage of a realised tensor on its device; shared by every node that is the same value. */
export type Storage = {
  device: Device | null;
  buffer: Buffer | null;
  /** Why the data is gone: set when it was freed or given to a newer version of a cell. */
  gone: string | null;
};

let count = 0;

/** The id of the newest node: nodes made from now on have greater ones. */
export const newestNode = (): number => count;

/** One value in the lazy graph. Immutable but for `storage`, which appears when it is realised. */
export class Node {
  readonly id: number = ++count;
  readonly op: Op;
  readonly attributes: Attributes;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Specs of all outputs of a kernel node; `pick` nodes select one. */
  readonly outputs: readonly TensorSpec[] | null;
  /** Emptied when the history is cut (a cell it depends on was written). */
  inputs: readonly Node[];
  storage: Storage | null = null;
  /** Why `grad` cannot pass through this node any more. */
  cut: string | null = null;
  /** Module path that was current when the node was made: names the place in errors and profiles. */
  readonly where: string | null;

  /** Where the program made it (a stack), kept from `VLM_DEBUG=1` on. */
  readonly origin: string | null = debugLevel() > 0 ? (new Error().stack ?? null) : null;

  constructor(
    op: Op,
    inputs: readonly Node[],
    attributes: Attributes,
    spec: TensorSpec,
    where: string | null,
    outputs: readonly TensorSpec[] | null = null,
  ) {
    this.op = op;
    this.inputs = inputs;
    this.attributes = attributes;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
    this.where = where;
    this.outputs = outputs;
  }

  get size(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }
}
