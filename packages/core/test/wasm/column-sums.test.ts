/** Reductions down the columns of something wide: several at once, over several axes, over more rows than a block. */
import { expect, it } from "vitest";
import { openDevice, realize, type Tensor, tensor, useDevice } from "../../src/index.ts";

const numbers = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => (((i + seed) * 2654435761) % 1000) / 1000 - 0.5);

const cases: [rows: number[], columns: number][] = [
  [[700], 130],
  [[30, 20], 96],
  [[17], 257],
  [[513], 64],
];

it.each([1, 2])("adds, multiplies and finds extremes, %i threads", async (threads) => {
  await useDevice(await openDevice("wasm", { threads }));
  for (const [rows, columns] of cases) {
    const count = rows.reduce((a, b) => a * b, 1);
    const [a, b] = [numbers(count * columns, 1), numbers(count * columns, 2)];
    const [x, y] = [a, b].map((data) => tensor(data, { shape: [...rows, columns] })) as [Tensor, Tensor];
    const axes = rows.map((_, i) => i);
    const results = [x.sum(axes).mul(2).add(1), y.sum(axes), x.max(axes), x.mul(y).sum(axes)];
    await realize(...results);
    const got = await Promise.all(results.map((result) => result.data()));
    for (let column = 0; column < columns; column++) {
      const [want, tops] = [[1, 0, 0, 0], Number.NEGATIVE_INFINITY];
      let top = tops;
      for (let at = column; at < a.length; at += columns) {
        want[0]! += 2 * a[at]!;
        want[1]! += b[at]!;
        want[3]! += a[at]! * b[at]!;
        top = Math.max(top, a[at]!);
      }
      want[2] = top;
      want.forEach((value, i) => {
        expect(Math.abs(got[i]![column]! - value), `${rows}×${columns}, ${i}, column ${column}`).toBeLessThan(1e-4);
      });
    }
  }
});
