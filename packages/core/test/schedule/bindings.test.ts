/** No kernel of any plan touches more buffers, or parts of them, than the device can bind. */
import { realize, useDevice } from "@vlm/core";
import { describe, expect, it } from "vitest";
import type { Schedule } from "../../src/ir/kernel.ts";
import { buffersOf } from "../../src/schedule/memory.ts";
import { grow } from "../ops/random-graph.ts";
import { interpreterDevice } from "./interpreter-device.ts";

type BindingsOf = (dtype: string, size: number) => number;

/** The most bindings that a loop or contraction of the schedule needs. */
const mostBindings = ({ buffers, kernels }: Schedule, bindingsOf: BindingsOf): number =>
  Math.max(
    0,
    ...kernels
      .filter(({ kind }) => kind !== "custom")
      .map((kernel) => {
        const { reads, writes } = buffersOf(kernel);
        const touched = [...new Set([...reads, ...writes])].map((at) => buffers[at]!);
        return touched.reduce((sum, { dtype, size }) => sum + bindingsOf(dtype, size), 0);
      }),
  );

const whole: BindingsOf = () => 1;
/** Tensors of more than 100 elements are bound in two parts. */
const halves: BindingsOf = (_dtype, size) => (size > 100 ? 2 : 1);

describe.each([
  ["six buffers", 6, whole],
  ["eight buffers", 8, whole],
  ["ten bindings, long tensors in two parts", 10, halves],
] as const)("%s", (_name, most, bindingsOf) => {
  it("bind everything that 100 random graphs and their gradients touch, and the numbers are right", async () => {
    const device = interpreterDevice(most, bindingsOf);
    for (let seed = 0; seed < 100; seed++) {
      await useDevice(device);
      const outputs = await grow(seed);
      await realize(...outputs);
      const [schedule] = device.schedules.splice(0);
      expect([seed, mostBindings(schedule!, bindingsOf)]).toSatisfy(([, n]: [number, number]) => n <= most);
      if (seed % 4 !== 3) continue;
      const got = await Promise.all(outputs.map((y) => y.data()));
      await useDevice("js");
      const want = await Promise.all((await grow(seed)).map((y) => y.data()));
      want.forEach((values, i) => {
        values.forEach((value, k) => {
          expect(Math.abs(got[i]![k]! - value), `seed ${seed}`).toBeLessThanOrEqual(2e-4 * (1 + Math.abs(value)));
        });
      });
    }
  });
});
