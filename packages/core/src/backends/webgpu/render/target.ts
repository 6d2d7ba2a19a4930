/** What code is rendered for. */
import { TILES, type Tile } from "./tiles.ts";

export type Target = {
  /** Greatest length of a storage binding in bytes. */
  maxBinding: number;
  /** Greatest number of storage bindings of a kernel. */
  maxBuffers: number;
  /** A CPU pretends to be a GPU: compiling takes seconds, so loops must not be unrolled. */
  software: boolean;
  /** Whether shaders may use f16 (the feature `shader-f16`). */
  f16: boolean;
  /** The tile for matrix products with enough work for big ones. */
  big: Tile;
};

/**
 * Before anything is measured: 8 × 8 outputs per thread; on a CPU, where every load costs a bounds check and so outputs
 * per load count, 16 × 8.
 */
export function targetOf(
  limits: { maxStorageBufferBindingSize: number; maxStorageBuffersPerShaderStage: number },
  software: boolean,
  f16: boolean,
): Target {
  const maxBinding = Math.floor(limits.maxStorageBufferBindingSize / 256) * 256;
  const maxBuffers = limits.maxStorageBuffersPerShaderStage;
  return { maxBinding, maxBuffers, software, f16, big: software ? TILES.tall : TILES.medium };
}

/** How many bindings a buffer takes: each is a range of at most `maxBinding` bytes. */
export const bindingsFor = (bytes: number, maxBinding: number): number => Math.max(1, Math.ceil(bytes / maxBinding));
