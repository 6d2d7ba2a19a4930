/** What code is rendered for. */
import { TILES, type Tile } from "./tiles.ts";

export type Target = {
  /** Greatest length of a storage binding in bytes. */
  maxBinding: number;
  /** A CPU pretends to be a GPU: compiling takes seconds, so loops must not be unrolled. */
  software: boolean;
  /** The tile for matrix products with enough work for big ones. */
  big: Tile;
};

/**
 * Before anything is measured: 8 × 8 outputs per thread; on a CPU, where every load costs a bounds check and so outputs
 * per load count, 16 × 8.
 */
export function targetOf(limits: { maxStorageBufferBindingSize: number }, software: boolean): Target {
  const maxBinding = Math.floor(limits.maxStorageBufferBindingSize / 256) * 256;
  return { maxBinding, software, big: software ? TILES.tall : TILES.medium };
}
