/** Packing of plain f32 operands into panels (see gemm.ts), in the module that plans share. */
import type { Code, ModuleBuilder } from "./assembler.ts";
import { I32, op, v } from "./opcodes.ts";

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
