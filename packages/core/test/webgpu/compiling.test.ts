/** A driver that compiles for long: progress, and a signal to stop waiting. */
import { Cell, type CompileProgress, compile, onCompile, tensor, useDevice } from "@vlm/core";
import { afterAll, expect, it } from "vitest";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";
import { faultyDevice } from "./faulty-device.ts";

afterAll(async () => {
  await useDevice("js");
});

/** A device whose kernels are ready when they are let go. */
async function slowDevice() {
  const { device, destroy } = await faultyDevice("throws", 0);
  const waiting: (() => void)[] = [];
  const create = async (descriptor: GPUComputePipelineDescriptor): Promise<GPUComputePipeline> => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return device.createComputePipelineAsync(descriptor);
  };
  const slow = new Proxy(device, {
    get: (target, name) => (name === "createComputePipelineAsync" ? create : Reflect.get(target, name)),
  });
  const backend = await createWebGpuBackend({ device: slow, software: true, tune: false });
  await useDevice(schedulingDevice(backend));
  const close = async (): Promise<void> => {
    await backend.dispose();
    destroy();
  };
  return { waiting, close };
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

it("tells how many kernels are ready, of all", async () => {
  const { waiting, close } = await slowDevice();
  const told: CompileProgress[] = [];
  const stop = onCompile((progress) => told.push(progress));
  try {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    const result = x.matmul(x).softmax().matmul(x).array();
    await soon();
    const total = waiting.length;
    expect(total).toBeGreaterThan(1);
    expect(told).toEqual([{ ready: 0, total }]);
    waiting.shift()!();
    await soon();
    expect(told.slice(1)).toEqual([{ ready: 1, total }]);
    for (const go of waiting.splice(0)) go();
    await result;
    expect(told.at(-1)).toEqual({ ready: total, total });
    // The next plan is a count of its own.
    const next = x.exp().array();
    await soon();
    expect(told.at(-1)).toEqual({ ready: 0, total: 1 });
    stop();
    for (const go of waiting.splice(0)) go();
    await next;
    expect(told.at(-1)).toEqual({ ready: 0, total: 1 });
  } finally {
    stop();
    await close();
  }
});

it.each([
  ["an AbortError", undefined],
  ["a reason of one's own", new Error("the page was left")],
])("stops waiting at a signal, with %s; other work goes on", async (_name, reason) => {
  const { waiting, close } = await slowDevice();
  const abort = new AbortController();
  const count = new Cell(tensor([0]));
  const update = (by: ReturnType<typeof tensor>) => {
    count.assign(count.value.add(by));
    return by.mul(2);
  };
  const step = compile(update, { signal: abort.signal });
  await soon();
  const by = tensor([3]);
  // Two steps in flight: one waits for its kernels or its turn, the other for the first.
  const doubled = (await step(by)).data();
  const twice = (await step(by)).data();
  for (const each of [doubled, twice]) each.catch(() => {});
  const other = tensor([1]).sub(5).array();
  await soon();
  abort.abort(reason);
  for (const each of [doubled, twice]) await expect(each).rejects.toBe(abort.signal.reason);
  // Whoever waited behind it is next.
  for (let i = 0; i < 5; i++) {
    await soon();
    for (const go of waiting.splice(0)) go();
  }
  expect(await other).toEqual([-4]);
  expect(await count.value.array()).toEqual([0]);
  await expect((await step(by)).data()).rejects.toBe(abort.signal.reason);
  const again = (await compile(update)(by)).array();
  await soon();
  for (const go of waiting.splice(0)) go();
  expect(await again).toEqual([6]);
  expect(await count.value.array()).toEqual([3]);
  await close();
});
