/** Random graphs of 20 ops: the same numbers on every device, in one plan or one plan per op. */
import { describe, expect, test } from "vitest";
import { realize } from "../../src/index.ts";
import { FULL, OTHERS, sampled, type TestDevice, use } from "./harness.ts";
import { grow } from "./random-graph.ts";

/** Graphs that once gave wrong numbers, and the first forty. */
const SEEDS = [
  ...new Set([72, 95, 141, 160, 179, 197, 221, 331, 362, ...Array.from({ length: FULL ? 400 : 40 }, (_, i) => i)]),
];

describe.each(OTHERS)("random graphs on %s", (device: TestDevice) => {
  test.each(sampled(device, SEEDS, 6).map((seed) => [seed]))("seed %i", async (seed) => {
    const read = async (on: TestDevice, stepwise: boolean): Promise<ArrayLike<number>[]> => {
      await use(on);
      const outputs = await grow(seed, async (x) => {
        if (stepwise) await realize(x);
      });
      await realize(...outputs);
      return Promise.all(outputs.map((y) => y.data()));
    };
    const want = await read("js", false);
    for (const stepwise of [false, true]) {
      const got = await read(device, stepwise);
      want.forEach((values, i) => {
        expect(got[i]!.length).toBe(values.length);
        for (let k = 0; k < values.length; k++) {
          const limit = 2e-4 * (1 + Math.abs(values[k]!));
          const off = Math.abs(got[i]![k]! - values[k]!);
          if (!(off <= limit))
            expect.fail(`output ${i}[${k}] is ${got[i]![k]}, not ${values[k]}${stepwise ? " (step by step)" : ""}`);
        }
      });
    }
  });
});
