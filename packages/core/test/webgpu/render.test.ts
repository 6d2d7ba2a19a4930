import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { difference, expected, inputsOf, runOn } from "../wasm/compare.ts";
import { randomContract, randomLoop } from "./random.ts";

/** How many random kernels; each is compiled, which takes a software adapter up to some seconds. */
const COUNT = Number(process.env.VLM_RANDOM_KERNELS ?? 10);

// `false`: code as for a real GPU, with reductions across threads and loops that the compiler may unroll.
describe.each([true, false])("random kernels, rendered for software: %s", (software) => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    backend = await createWebGpuBackend({ software, tune: false });
  });
  afterAll(() => backend.dispose());

  describe.each([
    ["loop", randomLoop],
    ["contract", randomContract],
  ])("%s", (kind, make) => {
    const count = kind === "loop" ? COUNT : COUNT / 2;
    for (let n = 0, seed = software ? 0 : 5000; n < count; seed++) {
      const { schedule } = make(seed);
      // The scheduler splits kernels with more buffers than a device takes; these are made without it.
      if (schedule.buffers.length > 8) continue;
      n++;
      it(`gives what the interpreter gives, seed ${seed}`, async () => {
        const inputs = inputsOf(schedule, seed);
        const got = await runOn(backend, schedule, inputs);
        expect(difference(schedule, got, expected(schedule, inputs))).toBeNull();
      });
    }
  });
});
