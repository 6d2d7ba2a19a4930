import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { difference, expected, inputsOf, runOn } from "../wasm/compare.ts";
import { randomContract, randomLoop } from "./random.ts";

const FROM = Number(process.env.FROM ?? 0);
const COUNT = Number(process.env.COUNT ?? 30);

let backend: WebGpuBackend;
beforeAll(async () => {
  backend = await createWebGpuBackend();
});
afterAll(() => backend.dispose());

describe.each([
  ["loop", randomLoop],
  ["contract", randomContract],
])("a random %s kernel", (_name, make) => {
  for (let seed = FROM; seed < FROM + COUNT; seed++) {
    it(`gives what the interpreter gives, seed ${seed}`, async () => {
      const { schedule } = make(seed);
      const inputs = inputsOf(schedule, seed);
      const got = await runOn(backend, schedule, inputs);
      expect(difference(schedule, got, expected(schedule, inputs))).toBeNull();
    });
  }
});
