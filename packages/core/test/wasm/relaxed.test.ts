import { expect, test } from "vitest";
import { ModuleBuilder } from "../../src/backends/wasm/assembler.ts";
import { candidates, defineMultiply, MULTIPLY } from "../../src/backends/wasm/gemm.ts";
import { createWasmBackend, enableRelaxedSimd } from "../../src/backends/wasm/index.ts";
import { difference, expected, inputsOf, runOn } from "./compare.ts";
import { generator, randomContract, randomLoop } from "./random-schedules.ts";

// A file of its own, so a process of its own: the switch is for the whole process.
const relaxed = await enableRelaxedSimd();

test("the engine has relaxed SIMD once it is enabled", () => {
  expect(relaxed).toBe(true);
});

test.each([1, 2])("kernels with fused multiply-add agree with the interpreter, %i threads", async (threads) => {
  const backend = await createWasmBackend({ threads, relaxed: true });
  for (let seed = 1; seed <= 40; seed++) {
    const { schedule } = seed % 4 === 0 ? randomLoop(seed) : randomContract(seed, 60);
    const inputs = inputsOf(schedule, seed);
    const got = await runOn(backend, schedule, inputs, threads);
    expect(difference(schedule, got, expected(schedule, inputs)), `seed ${seed}`).toBeNull();
  }
  await backend.dispose();
});

test("every candidate tile computes the product, and adds to it", async () => {
  const random = generator(11);
  for (const tile of [...candidates(true), ...candidates(false)]) {
    const module = new ModuleBuilder(false);
    defineMultiply(module, tile, "multiply");
    const memory = new WebAssembly.Memory({ initial: 4 });
    const { instance } = await WebAssembly.instantiate(module.bytes(), { env: { memory } });
    const multiply = instance.exports.multiply as (...args: number[]) => void;
    const [columnPanels, depth] = [7, 7];
    const n = columnPanels * tile.columns;
    for (let m = 1; m <= 2 * tile.rows; m++) {
      const rowPanels = Math.ceil(m / tile.rows);
      const a = new Float32Array(memory.buffer, 1024, rowPanels * tile.rows * depth).map(() => random() - 0.5);
      const b = new Float32Array(memory.buffer, 65536, n * depth).map(() => random() - 0.5);
      new Float32Array(memory.buffer, 1024, a.length).set(a);
      new Float32Array(memory.buffer, 65536, b.length).set(b);
      const run = (first: number): void =>
        multiply(1024, 65536, 131072, m, columnPanels, depth, tile.columns * depth * 4, n * 4, first);
      run(1);
      run(0);
      const c = new Float32Array(memory.buffer, 131072, m * n);
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          let sum = 0;
          for (let k = 0; k < depth; k++) {
            const at = (index: number, width: number): number =>
              (Math.floor(index / width) * depth + k) * width + (index % width);
            sum += a[at(row, tile.rows)]! * b[at(column, tile.columns)]!;
          }
          expect(Math.abs(c[row * n + column]! - 2 * sum), JSON.stringify(tile)).toBeLessThan(1e-5);
        }
      }
    }
  }
  expect(MULTIPLY.parameters).toHaveLength(9);
});
