/** The module that plans share: thread barrier, packing, matrix product. Tuned once per engine, then warm. */
import { ModuleBuilder, type Signature } from "./assembler.ts";
import { BARRIER, defineBarrier } from "./barrier.ts";
import { candidates, defineMultiply, MULTIPLY, type Tile } from "./gemm.ts";
import { definePack, PACK } from "./gemm-pack.ts";
import { I32 } from "./opcodes.ts";

/** Called after each kernel of a plan that is timed; does nothing but where another function takes its place. */
const MARK = { parameters: [I32], results: [] };

export type Library = {
  shared: boolean;
  tile: Tile;
  signatures: Readonly<Record<string, Signature>>;
  module: WebAssembly.Module;
};

/** A function of one f32x4.relaxed_madd: valid only where the engine has relaxed SIMD. */
const RELAXED_PROBE = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0],
  ...[32, 0, 32, 1, 32, 2, 253, 133, 2, 11],
];

/** Whether the engine has fused multiply-add (relaxed SIMD) now. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(new Uint8Array(RELAXED_PROBE));

/**
 * Turns relaxed SIMD on where the engine hides it behind a flag (Node 20): matrix products gain about half. A
 * process-wide experimental switch, so never set without being asked. Call before the wasm device is opened.
 * True if the engine has it afterwards.
 */
export async function enableRelaxedSimd(): Promise<boolean> {
  if (hasRelaxedSimd()) return true;
  const engine = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:v8");
  engine?.setFlagsFromString("--experimental-wasm-relaxed-simd");
  return hasRelaxedSimd();
}

type Multiply = (...args: number[]) => void;

const DEPTH = 256;

/** A candidate has to be this much faster than an earlier, more favourable one: less is the clock's doing. */
const CLEARLY = 1.08;

/**
 * Times every candidate tile on packed panels that fit the first-level cache; the best of many short windows counts.
 * They take turns, and until all of them have become several times as fast as they began: on a busy machine the
 * optimising compiler is late, and a tile must not lose by that.
 */
async function tune(fused: boolean): Promise<Tile> {
  const tiles = candidates(fused);
  const module = new ModuleBuilder(false);
  tiles.forEach((tile, at) => {
    defineMultiply(module, tile, `${at}`);
  });
  const memory = new WebAssembly.Memory({ initial: 4 });
  // Pages that were never written are all one page of the machine, which some first-level caches are slow to read.
  new Float32Array(memory.buffer).fill(1);
  const compiled = await WebAssembly.compile(module.bytes());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  const first = tiles.map(() => 0);
  const best = tiles.map(() => 0);
  const start = performance.now();
  for (let now = start, round = 0; ; round++) {
    tiles.forEach(({ rows, columns }, at) => {
      const [rowPanels, columnPanels] = [Math.ceil(24 / rows), Math.ceil(48 / columns)];
      const run = exports[at] as Multiply;
      run(0, 65536, 131072, rowPanels * rows, columnPanels, DEPTH, columns * DEPTH * 4, columnPanels * columns * 4, 1);
      const end = performance.now();
      const rate = (rowPanels * rows * columnPanels * columns * DEPTH) / Math.max(1e-4, end - now);
      if (round === 0) first[at] = rate;
      best[at] = Math.max(best[at]!, rate);
      now = end;
    });
    const optimised = best.every((rate, at) => rate > 4 * first[at]!);
    if (now - start > (optimised ? LEAST_TUNING : MOST_TUNING)) break;
  }
  return tiles.reduce((chosen, tile, at) => (best[at]! > best[tiles.indexOf(chosen)]! * CLEARLY ? tile : chosen));
}

/** Milliseconds. */
const LEAST_TUNING = 25;
const MOST_TUNING = 200;

const tuned = new Map<boolean, Promise<Tile>>();

/** The best tile of this engine, found at first use. */
export function tunedTile(fused: boolean): Promise<Tile> {
  let tile = tuned.get(fused);
  if (!tile) tuned.set(fused, (tile = tune(fused)));
  return tile;
}

/** Compiles the library for a tile. */
export async function createLibrary(tile: Tile, shared: boolean): Promise<Library> {
  const module = new ModuleBuilder(shared);
  if (shared) defineBarrier(module);
  defineMultiply(module, tile, "multiply");
  definePack(module, tile.rows, "packA");
  definePack(module, tile.columns, "packB");
  module.define(MARK.parameters, [], () => {}, "mark");
  return {
    shared,
    tile,
    module: await WebAssembly.compile(module.bytes()),
    signatures: {
      ...(shared ? { barrier: BARRIER } : {}),
      multiply: MULTIPLY,
      packA: PACK,
      packB: PACK,
      mark: MARK,
    },
  };
}

/** Runs the library's functions until the optimising compiler has replaced them; `scratch` is 1 MiB of memory. */
export function warm(exports: WebAssembly.Exports, { tile }: Library, scratch: number): void {
  const [multiply, packA, packB] = ["multiply", "packA", "packB"].map((name) => exports[name] as Multiply) as [
    Multiply,
    Multiply,
    Multiply,
  ];
  const until = performance.now() + 8;
  const n = 48;
  const [a, b, c] = [scratch + 65536, scratch + 2 * 65536, scratch + 4 * 65536];
  while (performance.now() < until) {
    for (const [rowStride, kStride] of [
      [4, n * 4],
      [n * 4, 4],
      [8, n * 8],
    ] as const) {
      packA(a, scratch, rowStride, kStride, n + 1, n);
      packB(b, scratch, rowStride, kStride, n + 1, n);
    }
    const columnPanels = Math.ceil(n / tile.columns);
    for (let rows = n; rows < n + tile.rows; rows++) {
      multiply(a, b, c, rows, columnPanels, n, tile.columns * n * 4, columnPanels * tile.columns * 4, 1);
    }
  }
}
