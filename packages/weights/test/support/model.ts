import { Cell, type DType, fromHost, type HostArray, type Tensor } from "@vlm/core";
import type { ModelLike } from "../../src/keymap/model-like.ts";

/** A model that is only its parameters. */
export class TestModel implements ModelLike {
  readonly parameters: Map<string, Cell>;

  constructor(parameters: Record<string, Tensor>) {
    this.parameters = new Map(Object.entries(parameters).map(([path, value]) => [path, new Cell(value)]));
  }

  stateDict(): Iterable<readonly [string, Cell]> {
    return this.parameters;
  }

  async values(): Promise<Record<string, HostArray>> {
    const out: Record<string, HostArray> = {};
    for (const [path, cell] of this.parameters) out[path] = await cell.value.data();
    return out;
  }
}

/** 0, 1, 2, … of a shape, starting at `from`. */
export function counting(shape: number[], from = 0, dtype: DType = "f32"): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  const values = Array.from({ length: size }, (_, i) => from + i);
  const host =
    dtype === "i32"
      ? Int32Array.from(values)
      : dtype === "u8" || dtype === "bool"
        ? Uint8Array.from(values)
        : Float32Array.from(values);
  return fromHost(host, shape, dtype);
}

/** What `safetensorsBytes` writes for numbers. */
export const f32 = (shape: number[], from = 0) => ({
  shape,
  dtype: "f32" as const,
  data: () => Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, (_, i) => from + i),
});
