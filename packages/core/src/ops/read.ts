/** From tensors back to numbers on the host. */
import type { HostArray } from "../dtype.ts";
import { read, release } from "../runtime/realize.ts";
import { shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { NestedArray } from "./create.ts";

/** The elements in row-major order. Computes what is needed; f16 and bf16 come as Float32Array. */
export function data(x: Tensor): Promise<HostArray> {
  return read(x.node);
}

/** The elements as nested arrays (a number for a scalar). */
export async function array(x: Tensor): Promise<NestedArray> {
  const elements = await read(x.node);
  const nest = (axis: number, offset: number, stride: number): NestedArray => {
    if (axis === x.rank) return elements[offset]!;
    const inner = stride / x.shape[axis]!;
    return Array.from({ length: x.shape[axis]! }, (_, i) => nest(axis + 1, offset + i * inner, inner));
  };
  return nest(0, 0, x.size);
}

/** The only element. */
export async function item(x: Tensor): Promise<number> {
  if (x.size !== 1) {
    throw shapeError("ITEM_SIZE", `item: ${shown(x.shape)} has ${x.size} elements`, "use data() or array()");
  }
  return (await read(x.node))[0]!;
}

/** Frees the storage now; later reads throw. Optional: forgotten tensors are freed by themselves. */
export function dispose(x: Tensor): void {
  release(x.node, "the tensor was disposed");
}
