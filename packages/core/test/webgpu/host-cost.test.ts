import { expect, it, vi } from "vitest";
import type { Executable } from "../../src/backends/backend.ts";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import type { ExprBuilder } from "../../src/ir/expr.ts";
import type { BufferSpec, Kernel, Schedule } from "../../src/ir/kernel.ts";
import type { Linear } from "../../src/ir/linear.ts";
import { addOp } from "../../src/ops/arithmetic.ts";
import { idleDevice } from "./idle-device.ts";
import { input, map, output, temporary } from "./schedules.ts";

/** `count` additions, one after the other. */
function additions(count: number, size: number): Schedule {
  const buffers: BufferSpec[] = [input(0, size), output(0, size)];
  const kernels: Kernel[] = [];
  for (let i = 0; i < count; i++) {
    const from = i === 0 ? 0 : buffers.length - 1;
    const to = i === count - 1 ? 1 : buffers.push(temporary(size)) - 1;
    const add = (build: ExprBuilder, at: Linear) =>
      build.apply(addOp, [build.load(from, at, "f32"), build.constant(1.5, "f32")], "f32");
    kernels.push(map(size, to, add));
  }
  return { buffers, kernels };
}

it("work that takes long is cut in submissions, at the rate of the plans before", async () => {
  const made = { groups: 0, submits: 0, encoders: 0 };
  const device = idleDevice(made);
  let [clock, took] = [0, 0];
  const now = vi.spyOn(performance, "now").mockImplementation(() => clock);
  device.queue.onSubmittedWorkDone = async () => {
    clock += took;
    return undefined;
  };
  try {
    const backend = await createWebGpuBackend({ device, software: false, tune: false });
    const size = 2 ** 20;
    const [x, y] = [backend.allocate("f32", size), backend.allocate("f32", size)];
    const [many, few] = [await backend.prepare(additions(300, size)), await backend.prepare(additions(20, size))];
    const submits = async (executable: Executable, milliseconds: number): Promise<number> => {
      took = milliseconds;
      made.submits = 0;
      await backend.run(executable, [x], [y]);
      return made.submits;
    };
    // 38 million operations each: what an integrated GPU does in 200 ms, as long as nothing is known.
    expect(await submits(many, 2000)).toBe(1);
    const slow = [];
    for (let i = 0; i < 8; i++) slow.push(await submits(many, 2000));
    expect(slow).toEqual([...slow].sort((a, b) => a - b));
    // 2 s in parts of 200 ms.
    expect(slow.at(-1)).toBeGreaterThanOrEqual(10);
    expect(slow.at(-1)).toBeLessThanOrEqual(12);
    // Little work says little about the rate, and is never cut.
    for (let i = 0; i < 8; i++) expect(await submits(few, 150)).toBe(1);
    expect(await submits(many, 20)).toBe(slow.at(-1));
    for (let i = 0; i < 8; i++) await submits(many, 20);
    expect(await submits(many, 20)).toBe(1);
    await backend.dispose();
  } finally {
    now.mockRestore();
  }
});

it("a warm run makes no objects and is one submission", async () => {
  const made = { groups: 0, submits: 0, encoders: 0 };
  const backend = await createWebGpuBackend({ device: idleDevice(made), software: false, tune: false });
  const count = 300;
  const executable = await backend.prepare(additions(count, 64));
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
