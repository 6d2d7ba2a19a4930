import { expect, it } from "vitest";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import type { BufferSpec, Kernel } from "../../src/ir/kernel.ts";
import { addOp } from "../../src/ops/arithmetic.ts";
import { idleDevice } from "./idle-device.ts";
import { input, map, output, temporary } from "./schedules.ts";

it("a warm run makes no objects and is one submission", async () => {
  const made = { groups: 0, submits: 0, encoders: 0 };
  const backend = await createWebGpuBackend({ device: idleDevice(made), software: false, tune: false });
  const count = 300;
  const buffers: BufferSpec[] = [input(0, 64), output(0, 64)];
  const kernels: Kernel[] = [];
  for (let i = 0; i < count; i++) {
    const from = i === 0 ? 0 : buffers.length - 1;
    const to = i === count - 1 ? 1 : buffers.push(temporary(64)) - 1;
    kernels.push(
      map(64, to, (build, at) => build.apply(addOp, [build.load(from, at, "f32"), build.constant(1.5, "f32")], "f32")),
    );
  }
  const executable = await backend.prepare({ buffers, kernels });
  // 300 kernels of the same text are one pipeline.
  expect(backend.pipelines).toBe(1);
  const x = backend.allocate("f32", 64);
  const ys = [backend.allocate("f32", 64), backend.allocate("f32", 64)];
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 400; i++) {
    if (i === 4) Object.assign(made, { groups: 0, submits: 0, encoders: 0 });
    const started = performance.now();
    const run = backend.run(executable, [x], [ys[i % 2]!]);
    best = Math.min(best, performance.now() - started);
    await run;
  }
  expect(made).toEqual({ groups: 0, submits: 396, encoders: 396 });
  if (process.env.VLM_SHOW) console.log(`${((best * 1000) / count).toFixed(3)} µs per kernel`);
});
