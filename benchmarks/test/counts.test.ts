/**
 * What does not depend on the machine: kernels, bytes and kilobytes. A change that makes one of these greater fails here;
 * one that makes it smaller should lower the number. Times are never a test.
 */
import { describe, expect, it } from "vitest";
import { bytesMoved, hasFusedAttention, type Mode, scheduleOf } from "../src/run/schedules.ts";
import { bundleSize } from "../src/suites/size.ts";

/** Kernels and megabytes for three ViT blocks; of one block on webgpu at most 7 forward and 22 with gradients. */
const LIMITS: Record<"wasm" | "webgpu", Record<Mode, { kernels: number; megabytes: number }>> = {
  wasm: {
    forward: { kernels: 27, megabytes: 43 },
    gradients: { kernels: 80, megabytes: 159 },
    step: { kernels: 83, megabytes: 194 },
  },
  webgpu: {
    forward: { kernels: 21, megabytes: 29 },
    gradients: { kernels: 65, megabytes: 121 },
    step: { kernels: 100, megabytes: 167 },
  },
};

describe("three ViT blocks", () => {
  it("run attention in the webgpu device's own kernels", () => expect(hasFusedAttention()).toBe(true));

  for (const device of ["wasm", "webgpu"] as const) {
    for (const mode of ["forward", "gradients", "step"] as const) {
      it(`${mode} on ${device}`, async () => {
        const schedule = await scheduleOf(device, mode, 3);
        const { kernels, megabytes } = LIMITS[device][mode];
        expect(schedule.kernels.length, "kernels").toBeLessThanOrEqual(kernels);
        expect(bytesMoved(schedule) / 1e6, "megabytes").toBeLessThanOrEqual(megabytes);
        // A schedule with less than the matrix products themselves would be a wrong count, not a fast plan.
        expect(schedule.kernels.length).toBeGreaterThanOrEqual(mode === "forward" ? 12 : 36);
      });
    }
  }
});

describe("downloads, gzip", () => {
  it("a tensor, gradients and both devices", async () => {
    const { first, later } = await bundleSize('export { tensor, grad } from "@vlm/core";');
    // The aim is 60 kB; `pnpm bench size` shows what the others weigh.
    expect(first + later).toBeLessThanOrEqual(95);
    expect(first).toBeGreaterThan(5);
  });
});
