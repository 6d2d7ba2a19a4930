import { describe, expect, test } from "vitest";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { difference, expected, inputsOf, runOn } from "./compare.ts";
import { randomContract, randomLoop } from "./random-schedules.ts";

const COUNT = 150;

describe("rendered kernels agree with the interpreter", () => {
  test("loops", async () => {
    const backend = await createWasmBackend({ threads: 1 });
    for (let seed = 1; seed <= COUNT; seed++) {
      const { schedule } = randomLoop(seed);
      const inputs = inputsOf(schedule, seed);
      const got = await runOn(backend, schedule, inputs);
      expect(difference(schedule, got, expected(schedule, inputs)), `seed ${seed}`).toBeNull();
    }
    expect(backend.memory().bytes).toBe(0);
  });

  test("products", async () => {
    const backend = await createWasmBackend({ threads: 1 });
    for (let seed = 1; seed <= COUNT; seed++) {
      const { schedule } = randomContract(seed);
      const inputs = inputsOf(schedule, seed);
      const got = await runOn(backend, schedule, inputs);
      expect(difference(schedule, got, expected(schedule, inputs)), `seed ${seed}`).toBeNull();
    }
    expect(backend.memory().bytes).toBe(0);
  });
});
