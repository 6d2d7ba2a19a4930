/**
 * The matrix product's inner parts, in a module that plans share (a fresh module starts in the baseline compiler, at a
 * thirtieth of the speed). Operands are packed into panels: a panel of width w holds w rows (of A, or columns of B),
 * element [k][0 … w − 1], rows beyond the operand zero. The micro-kernel keeps a tile of A-width × B-width sums in
 * registers (Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication").
 */
import type { Code, ModuleBuilder } from "./assembler.ts";
import { f, I32, op, v } from "./opcodes.ts";

export type Tile = {
  /** Panel widths of A and of B (a multiple of 4). */
  rows: number;
  columns: number;
  /** Steps of k in one round of the loop. */
  unroll: number;
  /** Keep a step's A values in registers and go through B, not the other way round. */
  byColumn: boolean;
  /** Fused multiply-add (relaxed SIMD). */
  fused: boolean;
};

/**
 * Tiles worth trying. x64 leaves 15 vector registers: sums + one B row + one A value must fit, and 8 sums are needed to
 * hide the latency of the multiply-add. Which is best differs by engine version, up to twofold.
 */
export const candidates = (fused: boolean): Tile[] => {
  const tile = (rows: number, columns: number, unroll = 1, byColumn = false): Tile => ({
    rows,
    columns,
    unroll,
    byColumn,
    fused,
  });
  return fused
    ? [tile(4, 8), tile(6, 8, 2), tile(3, 12), tile(2, 16), tile(4, 8, 2), tile(5, 8, 2)]
    : [tile(4, 8), tile(2, 16), tile(5, 8, 2), tile(3, 12, 1, true), tile(3, 12, 2), tile(4, 8, 2)];
};

/** (a, b, c, rows, columnPanels, depth, bStride, cStride, first): C block = A block · B block (+ C unless first). */
export const MULTIPLY = { parameters: new Array<number>(9).fill(I32), results: [] };
const [A, B, C, ROWS, COLUMN_PANELS, DEPTH, B_STRIDE, C_STRIDE, FIRST] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;

/** So many rows of a panel of A by so many panels of B at once. */
type Part = { rows: number; panels: number };

/**
 * Rows left over at the end of a block, too few for a tile. Padding would multiply zeros; taking several panels of B at
 * once keeps as many sums going as a tile has.
 */
const restsOf = ({ rows }: Tile): Part[] =>
  Array.from({ length: rows >> 1 }, (_, at) => ({ rows: at + 1, panels: Math.floor(rows / (at + 1)) }));

export function defineMultiply(module: ModuleBuilder, tile: Tile, name: string): number {
  const define = (part: Part): number => module.define(MULTIPLY.parameters, [], (code) => writePart(code, tile, part));
  const whole = define({ rows: tile.rows, panels: 1 });
  const rests = restsOf(tile).map((part) => ({ ...part, call: define(part) }));
  return module.define(MULTIPLY.parameters, [], (code) => writeMultiply(code, tile, whole, rests), name);
}

/** Whole tiles, and the rest below them while the panels of B that both need are in the cache. */
function writeMultiply(code: Code, tile: Tile, whole: number, rests: readonly (Part & { call: number })[]): void {
  const panels = code.get(ROWS).i32(tile.rows).op(op.divU).keep();
  const rest = code.get(ROWS).i32(tile.rows).op(op.remU).keep();
  const pushBelow = (start: number, step: number, by: number): Code =>
    code.get(start).get(panels, step).op(op.mul).i32(by).op(op.mul, op.add);
  for (const { rows, panels: atOnce, call } of rests) {
    code.get(rest).i32(rows).op(op.eq).get(COLUMN_PANELS).i32(atOnce).op(op.geS, op.and);
    code.if(() => {
      code.loop(() => {
        code.get(A, B, C, panels).i32(atOnce).get(DEPTH, B_STRIDE, C_STRIDE, FIRST).call(whole);
        pushBelow(A, DEPTH, tile.rows * 4).get(B);
        pushBelow(C, C_STRIDE, tile.rows).i32(1).i32(atOnce).get(DEPTH, B_STRIDE, C_STRIDE, FIRST).call(call);
        code.get(B).addTimes(B_STRIDE, atOnce).set(B);
        code.advance(C, atOnce * tile.columns * 4).advance(COLUMN_PANELS, -atOnce);
        code.get(COLUMN_PANELS).i32(atOnce).op(op.geS);
      });
    });
  }
  code.get(A, B, C).ceilDiv(ROWS, tile.rows).get(COLUMN_PANELS, DEPTH, B_STRIDE, C_STRIDE, FIRST).call(whole);
}

/** Takes the same parameters, but panels of A in place of rows, of which the first `rows` are multiplied. */
function writePart(code: Code, tile: Tile, { rows, panels }: Part): void {
  const { unroll, fused } = tile;
  const vectors = (tile.columns / 4) * panels;
  const sums = Array.from({ length: rows * vectors }, () => code.vector());
  const [row, column, k, ap, cp] = [code.local(), code.local(), code.local(), code.local(), code.local()];
  const bp = Array.from({ length: panels }, () => code.local());
  const bRow = Array.from({ length: vectors }, () => code.vector());
  const aRow = Array.from({ length: rows }, () => code.vector());
  const loadA = (r: number, step: number): void => {
    code
      .get(ap)
      .memory(v.splatLoad, (step * tile.rows + r) * 4)
      .set(aRow[r]!);
  };
  const loadB = (j: number, step: number): void => {
    const [panel, at] = [Math.floor((j * 4) / tile.columns), (j * 4) % tile.columns];
    code
      .get(bp[panel]!)
      .memory(v.load, (step * tile.columns + at) * 4)
      .set(bRow[j]!);
  };
  const accumulate = (r: number, j: number): void => {
    const sum = sums[r * vectors + j]!;
    if (fused) code.get(aRow[r]!, bRow[j]!, sum).op(f.relaxedMadd).set(sum);
    else code.get(sum, aRow[r]!, bRow[j]!).op(f.mul, f.add).set(sum);
  };
  const step = (at: number): void => {
    // A rest has few rows and many columns: its A values stay in registers.
    if (tile.byColumn || panels > 1) {
      for (let r = 0; r < rows; r++) loadA(r, at);
      for (let j = 0; j < vectors; j++) {
        loadB(j, at);
        for (let r = 0; r < rows; r++) accumulate(r, j);
      }
      return;
    }
    for (let j = 0; j < vectors; j++) loadB(j, at);
    for (let r = 0; r < rows; r++) {
      loadA(r, at);
      for (let j = 0; j < vectors; j++) accumulate(r, j);
    }
  };
  code.for(column, 0, { local: COLUMN_PANELS }, panels, () => {
    code.get(A).set(ap);
    code.for(row, 0, { local: ROWS }, 1, () => {
      bp.forEach((local, at) => {
        code.get(B).addTimes(B_STRIDE, at).set(local);
      });
      for (const sum of sums) code.splat(0).set(sum);
      code.get(DEPTH).set(k);
      const rounds = (count: number): void => {
        code.loop(() => {
          for (let at = 0; at < count; at++) step(at);
          code.advance(ap, tile.rows * 4 * count);
          for (const local of bp) code.advance(local, tile.columns * 4 * count);
          code.get(k).i32(count).op(op.sub).tee(k).i32(count).op(op.geS);
        });
      };
      code
        .get(k)
        .i32(unroll)
        .op(op.geS)
        .if(() => rounds(unroll));
      if (unroll > 1) code.get(k).if(() => rounds(1));
      // The tile's place in C.
      code.get(C).get(row).i32(tile.rows).op(op.mul).get(C_STRIDE).op(op.mul, op.add);
      code.addTimes(column, tile.columns * 4).set(cp);
      const write = (add: boolean): void => {
        code.get(cp).set(k);
        for (let r = 0; r < rows; r++) {
          for (let j = 0; j < vectors; j++) {
            code.get(k).get(sums[r * vectors + j]!);
            if (add)
              code
                .get(k)
                .memory(v.load, j * 16)
                .op(f.add);
            code.memory(v.store, j * 16);
          }
          if (r < rows - 1) code.get(k, C_STRIDE).op(op.add).set(k);
        }
      };
      code.get(FIRST).if(
        () => write(false),
        () => write(true),
      );
    });
    code.get(B).addTimes(B_STRIDE, panels).set(B);
  });
}
