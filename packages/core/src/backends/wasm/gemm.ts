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

/** (a, b, c, rowPanels, columnPanels, depth, bStride, cStride, first): C tile = A block · B block (+ C unless first). */
export const MULTIPLY = { parameters: new Array<number>(9).fill(I32), results: [] };

export function defineMultiply(module: ModuleBuilder, tile: Tile, name: string): number {
  return module.define(MULTIPLY.parameters, [], (code) => writeMultiply(code, tile), name);
}

function writeMultiply(code: Code, { rows, columns, unroll, byColumn, fused }: Tile): void {
  const [a, b, c, rowPanels, columnPanels, depth, bStride, cStride, first] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const vectors = columns / 4;
  const sums = Array.from({ length: rows * vectors }, () => code.vector());
  const [row, column, k, ap, bp, cp] = Array.from({ length: 6 }, () => code.local()) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const bRow = Array.from({ length: vectors }, () => code.vector());
  const aRow = Array.from({ length: rows }, () => code.vector());
  const advance = (local: number, by: number): Code => code.get(local).i32(by).op(op.add).set(local);
  const loadA = (r: number, step: number): Code => code.get(ap).memory(v.splatLoad, (step * rows + r) * 4);
  const loadB = (j: number, step: number): Code => code.get(bp).memory(v.load, (step * vectors + j) * 16);
  const accumulate = (r: number, j: number): void => {
    const sum = sums[r * vectors + j]!;
    if (fused) code.get(aRow[r]!, bRow[j]!, sum).op(f.relaxedMadd).set(sum);
    else code.get(sum, aRow[r]!, bRow[j]!).op(f.mul, f.add).set(sum);
  };
  const step = (at: number): void => {
    if (byColumn) {
      for (let r = 0; r < rows; r++) loadA(r, at).set(aRow[r]!);
      for (let j = 0; j < vectors; j++) {
        loadB(j, at).set(bRow[j]!);
        for (let r = 0; r < rows; r++) accumulate(r, j);
      }
      return;
    }
    for (let j = 0; j < vectors; j++) loadB(j, at).set(bRow[j]!);
    for (let r = 0; r < rows; r++) {
      loadA(r, at).set(aRow[r]!);
      for (let j = 0; j < vectors; j++) accumulate(r, j);
    }
  };
  code.for(column, 0, { local: columnPanels! }, 1, () => {
    code.get(a!).set(ap);
    code.for(row, 0, { local: rowPanels! }, 1, () => {
      code.get(b!).set(bp);
      for (const sum of sums) code.splat(0).set(sum);
      code.get(depth!).set(k);
      const rounds = (count: number): void => {
        code.loop(() => {
          for (let at = 0; at < count; at++) step(at);
          advance(ap, rows * 4 * count);
          advance(bp, columns * 4 * count);
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
      code.get(c!).get(row).i32(rows).op(op.mul).get(cStride!).op(op.mul, op.add);
      code
        .get(column)
        .i32(columns * 4)
        .op(op.mul, op.add)
        .set(cp);
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
          if (r < rows - 1) code.get(k, cStride!).op(op.add).set(k);
        }
      };
      code.get(first!).if(
        () => write(false),
        () => write(true),
      );
    });
    code.get(b!, bStride!).op(op.add).set(b!);
  });
}

/** (target, source, rowStride, kStride, rows, depth), strides in bytes: packs into panels one after the other. */
export const PACK = { parameters: new Array<number>(6).fill(I32), results: [] };

export function definePack(module: ModuleBuilder, width: number, name: string): number {
  return module.define(PACK.parameters, [], (code) => writePack(code, width), name);
}

/** Floats in a cache line. */
const LINE = 16;

function writePack(code: Code, width: number): void {
  const [target, source, rowStride, kStride, rows, depth] = [0, 1, 2, 3, 4, 5] as const;
  const [from, to, k, r, part] = [code.local(), code.local(), code.local(), code.local(), code.local()];
  const rowAddress: number[] = Array.from({ length: width }, () => code.local());
  const lines = Array.from({ length: 4 }, () => code.vector());
  const pairs = Array.from({ length: 4 }, () => code.vector());
  const advance = (local: number, by: number): Code => code.get(local).i32(by).op(op.add).set(local);
  const element = (offset: number): void => {
    code.get(to).get(from).memory(op.load).memory(op.store, offset);
  };

  /** Rows lie side by side: for each k, `panels` copies of `width` floats. Several at once read whole cache lines. */
  const copy = (panels: number): void => {
    const bytes = width * 4;
    const targets = Array.from({ length: panels }, (_, at) => (at === 0 ? to : code.local()));
    targets.forEach((local, at) => {
      if (at > 0)
        code
          .get(targets[at - 1]!)
          .get(depth)
          .i32(bytes)
          .op(op.mul, op.add)
          .set(local);
    });
    code.for(k, 0, { local: depth }, 1, () => {
      targets.forEach((local, panel) => {
        const piece = (load: number, store: number, at: number): void => {
          code
            .get(local, from)
            .memory(load, panel * bytes + at)
            .memory(store, at);
        };
        for (let at = 0; at + 16 <= bytes; at += 16) piece(v.load, v.store, at);
        for (let at = bytes - (bytes % 16); at < bytes; at += 4) piece(op.load, op.store, at);
        advance(local, bytes);
      });
      code.get(from, kStride).op(op.add).set(from);
    });
  };

  /** Every row is contiguous in k: 4 × 4 blocks are transposed. */
  const transpose = (): void => {
    rowAddress.forEach((address, at) => {
      code.get(source).get(rowStride).i32(at).op(op.mul, op.add).set(address);
    });
    code.i32(0).set(k);
    code.get(depth).i32(-4).op(op.and).set(part);
    code.while(k, { local: part }, 4, () => {
      for (let at = 0; at < width; at += 4) {
        const count = Math.min(4, width - at);
        for (let n = 0; n < count; n++)
          code
            .get(rowAddress[at + n]!)
            .memory(v.load)
            .set(lines[n]!);
        if (count < 4) {
          for (let n = 0; n < count; n++) {
            for (let lane = 0; lane < 4; lane++) {
              code.get(to, lines[n]!).memory(v.storeLane, (lane * width + at + n) * 4, lane);
            }
          }
          continue;
        }
        const [l0, l1, l2, l3] = lines as [number, number, number, number];
        code.get(l0, l1).shuffle(0, 4, 1, 5).set(pairs[0]!);
        code.get(l2, l3).shuffle(0, 4, 1, 5).set(pairs[1]!);
        code.get(l0, l1).shuffle(2, 6, 3, 7).set(pairs[2]!);
        code.get(l2, l3).shuffle(2, 6, 3, 7).set(pairs[3]!);
        for (let lane = 0; lane < 4; lane++) {
          const pair = lane < 2 ? 0 : 2;
          code.get(to, pairs[pair]!, pairs[pair + 1]!);
          code.shuffle(...(lane % 2 === 0 ? [0, 1, 4, 5] : [2, 3, 6, 7]));
          code.memory(v.store, (lane * width + at) * 4);
        }
      }
      for (const address of rowAddress) advance(address, 16);
      advance(to, width * 16);
    });
    code.while(k, { local: depth }, 1, () => {
      rowAddress.forEach((address, at) => {
        code
          .get(to, address)
          .memory(op.load)
          .memory(op.store, at * 4);
        advance(address, 4);
      });
      advance(to, width * 4);
    });
  };

  /** Any strides, any number of rows. */
  const gather = (): void => {
    code.for(k, 0, { local: depth }, 1, () => {
      code.get(source).get(k, kStride).op(op.mul, op.add).set(from);
      code.get(to).set(part);
      code.for(r, 0, { local: rows }, 1, () => {
        code
          .get(r)
          .i32(width)
          .op(op.ltS)
          .if(() => {
            element(0);
            advance(to, 4);
            code.get(from, rowStride).op(op.add).set(from);
          });
      });
      code
        .get(part)
        .i32(width * 4)
        .op(op.add)
        .set(to);
    });
  };

  const group = Math.max(1, Math.floor(LINE / width));
  const taken = code.local();
  const whole = (panels: number): Code =>
    code
      .get(rows)
      .i32(panels * width)
      .op(op.geS);
  const isFour = (stride: number): Code => code.get(stride).i32(4).op(op.eq);
  const one = (): void => {
    code.i32(1).set(taken);
    whole(1).if(
      () =>
        isFour(rowStride).if(
          () => copy(1),
          () => isFour(kStride).if(transpose, gather),
        ),
      () => {
        code
          .get(target)
          .i32(0)
          .get(depth)
          .i32(width * 4)
          .op(op.mul)
          .bulk(op.fill);
        gather();
      },
    );
  };
  code
    .get(rows)
    .i32(0)
    .op(op.gtS)
    .if(() => {
      code.loop(() => {
        code.get(target).set(to);
        code.get(source).set(from);
        whole(group);
        isFour(rowStride)
          .op(op.and)
          .if(() => {
            code.i32(group).set(taken);
            copy(group);
          }, one);
        code
          .get(target)
          .get(depth)
          .get(taken)
          .i32(width * 4)
          .op(op.mul, op.mul, op.add)
          .set(target);
        code.get(source).get(rowStride).get(taken).i32(width).op(op.mul, op.mul, op.add).set(source);
        code.get(rows).get(taken).i32(width).op(op.mul, op.sub).tee(rows).i32(0).op(op.gtS);
      });
    });
}
