/** Constant operands of products stay packed between runs, and never outlive what they were packed from. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import { axis, flatten } from "../../src/ir/linear.ts";

// Columns in whole panels, whichever tile is the fastest here.
const [m, n, k] = [5, 624, 70];

const schedule: Schedule = {
  buffers: [
    { dtype: "f32", size: m * k, role: "input", position: 0 },
    { dtype: "f32", size: n * k, role: "input", position: 1 },
    { dtype: "f32", size: m * n, role: "output", position: 0 },
  ],
  kernels: [
    {
      kind: "contract",
      name: "x · wᵀ",
      ...{ batch: 1, rows: m, columns: n, sum: k, dtype: "f32" },
      a: { kind: "load", buffer: 0, index: flatten([axis(1, m), axis(3, k)], [m, k]), dtype: "f32", key: "a" },
      b: { kind: "load", buffer: 1, index: flatten([axis(2, n), axis(3, k)], [n, k]), dtype: "f32", key: "b" },
      stores: [
        {
          buffer: 2,
          index: flatten([axis(1, m), axis(2, n)], [m, n]),
          value: { kind: "stage", stage: 0, dtype: "f32", key: "s" },
        },
      ],
    },
  ],
};

const numbers = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => ((i * 7 + seed) % 13) - 6);

const productOf = (x: Float32Array, w: Float32Array): Float32Array =>
  Float32Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += x[Math.floor(at / n) * k + i]! * w[(at % n) * k + i]!;
    return sum;
  });

const backends: Backend[] = [];

beforeAll(async () => {
  for (const threads of [1, 2]) backends.push(await createWasmBackend({ threads, relaxed: false }));
});

afterAll(async () => {
  for (const backend of backends) await backend.dispose();
});

it.each([0, 1])("gives the product of what is there now, backend %i", async (at) => {
  const backend = backends[at]!;
  const executable = await backend.prepare(schedule);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const [x, w, y] = [m * k, n * k, m * n].map((size) => backend.allocate("f32", size)) as [never, never, never];
  const plain = backend.memory().bytes;
  let weights = numbers(n * k, 1);
  backend.write(w, weights);
  for (let run = 0; run < 8; run++) {
    // A new weight after four runs.
    if (run === 4) backend.write(w, (weights = numbers(n * k, 5)));
    const values = numbers(m * k, run);
    backend.write(x, values);
    await backend.run(executable, [x, w], [y]);
    expect(await backend.read(y)).toEqual(productOf(values, weights));
    // Kept from the second run with a weight on: the weight is taken for a constant then.
    expect(backend.memory().bytes - plain).toBe(run % 4 === 0 ? 0 : n * k * 4);
  }
  for (const buffer of [x, w, y]) backend.free(buffer);
  expect(backend.memory().bytes).toBe(0);
  executable.dispose();
});

it("gives way where there is no room", async () => {
  const backend = await createWasmBackend({ threads: 1, relaxed: false, maximumBytes: 2 ** 24 });
  const executable = await backend.prepare(schedule);
  const [x, w, y] = [m * k, n * k, m * n].map((size) => backend.allocate("f32", size)) as [never, never, never];
  backend.write(x, numbers(m * k, 1));
  backend.write(w, numbers(n * k, 1));
  for (let run = 0; run < 3; run++) await backend.run(executable, [x, w], [y]);
  const kept = backend.memory().bytes;
  const held: ReturnType<Backend["allocate"]>[] = [];
  expect(() => {
    for (;;) held.push(backend.allocate("f32", 2 ** 13));
  }).toThrow("no memory for");
  const more = held.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(backend.memory().bytes - more).toBeLessThan(kept);
  for (const buffer of held) backend.free(buffer);
  await backend.run(executable, [x, w], [y]);
  expect(await backend.read(y)).toEqual(productOf(numbers(m * k, 1), numbers(n * k, 1)));
  await backend.dispose();
});
