import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { inputsOf, runOn } from "./compare.ts";
import { randomContract, randomLoop } from "./random-schedules.ts";

describe("threads", () => {
  const backends: Backend[] = [];

  beforeAll(async () => {
    for (const threads of [1, 2, 3]) backends.push(await createWasmBackend({ threads, relaxed: false }));
    await new Promise((resolve) => setTimeout(resolve, 200));
  });

  afterAll(async () => {
    for (const backend of backends) await backend.dispose();
  });

  test("every number of threads gives the same bits", async () => {
    for (let seed = 1; seed <= 24; seed++) {
      const { schedule } = seed % 2 ? randomLoop(seed) : randomContract(seed, 150);
      const inputs = inputsOf(schedule, seed);
      const results = [];
      for (const backend of backends) results.push(await runOn(backend, schedule, inputs, 4));
      expect(results[1], `seed ${seed}, 2 threads`).toEqual(results[0]);
      expect(results[2], `seed ${seed}, 3 threads`).toEqual(results[0]);
    }
  });
});
