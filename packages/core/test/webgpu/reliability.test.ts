/** What must hold on one device whatever goes wrong next to it. */
import { compile, ones, openDevice, type Tensor, tensor, useDevice, type VlmError } from "@vlm/core";
import { afterAll, describe, expect, it } from "vitest";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import type { KernelOp } from "../../src/op.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";
import { expected, inputsOf, runOn } from "../wasm/compare.ts";
import { faultyDevice } from "./faulty-device.ts";
import { input, output, scaled, sums } from "./schedules.ts";

afterAll(async () => {
  await useDevice("js");
});

const broken = (name: string): Schedule => {
  const wgsl = `@compute @workgroup_size(1) fn main() { ${name} = 1; }`;
  const op: KernelOp = {
    kind: "kernel",
    name,
    outputs: ([x]) => [x!],
    webgpu: () => ({ passes: [{ wgsl, bindings: [{ input: 0 }, { output: 0 }], workgroups: [1, 1, 1] }] }),
  };
  const operand = (buffer: number) => ({ buffer, shape: [4], dtype: "f32" as const });
  return {
    buffers: [input(0, 4), output(0, 4)],
    kernels: [{ kind: "custom", name, op, attributes: {}, inputs: [operand(0)], outputs: [operand(1)] }],
  };
};

it("errors of calls that run at the same time belong to the call that caused them", async () => {
  const backend = await createWebGpuBackend({ software: true, tune: false });
  const [a, b] = [scaled(100, 3), sums(20, 50)];
  const done = await Promise.allSettled([
    backend.prepare(broken("first")),
    runOn(backend, a, inputsOf(a, 1)),
    backend.prepare(broken("second")),
    runOn(backend, b, inputsOf(b, 2)),
  ]);
  expect(done.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
  const reason = (i: number): string => String((done[i] as PromiseRejectedResult).reason);
  expect([reason(0), reason(2)]).toEqual([expect.stringContaining("first"), expect.stringContaining("second")]);
  expect((done[1] as PromiseFulfilledResult<unknown>).value).toEqual(expected(a, inputsOf(a, 1)));
  await backend.dispose();
});

it("an error that no call explains is told to the next call, once", async () => {
  const { device, stray, destroy } = await faultyDevice("throws", 0);
  const backend = await createWebGpuBackend({ device, software: true, tune: false });
  const schedule = scaled(8, 2);
  stray("from nowhere");
  await expect(backend.prepare(schedule)).rejects.toMatchObject({
    name: "GpuValidationError",
    message: expect.stringContaining("from nowhere"),
  });
  expect(await runOn(backend, schedule, inputsOf(schedule, 1))).toEqual(expected(schedule, inputsOf(schedule, 1)));
  await backend.dispose();
  destroy();
});

it("out of memory tells the bytes, gives the pool back, and the next call works", async () => {
  const calls = async (at: number): Promise<unknown> => {
    const faulty = await faultyDevice("memory", at, { only: "createBuffer" });
    const backend = await createWebGpuBackend({ device: faulty.device, software: true, tune: false });
    const kept = backend.allocate("f32", 1000);
    const idle = backend.allocate("f32", 4096);
    // Memory is pooled once the device has said that it had it.
    await new Promise((resolve) => setTimeout(resolve, 20));
    backend.free(idle);
    const x = backend.allocate("f32", 555);
    const error = await backend.read(x).catch((e: unknown) => e);
    const { pooled } = backend.memory() as { pooled?: number };
    backend.free(x);
    const schedule = scaled(8, 2);
    expect(await runOn(backend, schedule, inputsOf(schedule, 1))).toEqual(expected(schedule, inputsOf(schedule, 1)));
    backend.free(kept);
    await backend.dispose();
    faulty.destroy();
    return { error, pooled };
  };
  expect(await calls(0)).toMatchObject({ error: expect.any(Float32Array), pooled: 16384 });
  // The third buffer is x.
  const told = await calls(3);
  expect(told).toMatchObject({
    error: {
      name: "OutOfMemoryError",
      recoverable: true,
      details: { bytes: 2224, inUse: 6224, peak: 20384, temporaries: 0 },
      message: expect.stringContaining("no memory for 2224 bytes; tensors use 6224 bytes (at most 20384 so far)"),
    },
    pooled: 0,
  });
});

describe("no memory for a buffer of a plan of large tensors", () => {
  /** Host data, a temporary and a result of 1 MiB each; the sum of the result. */
  const work = async (): Promise<number> => {
    const [x, w] = [tensor(new Float32Array(2 ** 18).fill(0.5), { shape: [4096, 64] }), ones([64, 64])];
    const y = x.matmul(w.mul(0.25)).matmul(w);
    try {
      let sum = 0;
      for (const value of await y.data()) sum += value;
      return sum;
    } finally {
      for (const each of [x, y]) each.dispose();
    }
  };
  const want = 2 ** 18 * 8 * 64;

  /** The work with the k-th buffer refused, and once more when there is memory again; null when it has no k buffers. */
  const attempt = async (k: number, forever: boolean): Promise<unknown> => {
    const faulty = await faultyDevice("memory", k, { only: "createBuffer", forever });
    const backend = await createWebGpuBackend({ device: faulty.device, software: true, tune: false });
    await useDevice(schedulingDevice(backend));
    const first = await work().catch((error: unknown) => error);
    const happened = faulty.happened();
    faulty.relent();
    expect(await work()).toBe(want);
    expect(backend.memory().buffers).toBe(0);
    await backend.dispose();
    expect(faulty.buffers()).toBe(0);
    faulty.destroy();
    return happened ? first : null;
  };

  it("once: nobody notices", async () => {
    let k = 1;
    for (let outcome = await attempt(k, false); outcome !== null; outcome = await attempt(++k, false)) {
      expect(outcome).toBe(want);
    }
    expect(k).toBeGreaterThan(4);
  });

  it("for good: a typed error with the figures, nothing left behind, and it works when there is memory again", async () => {
    const wanted = new Set<unknown>();
    let k = 1;
    for (let outcome = await attempt(k, true); outcome !== null; outcome = await attempt(++k, true)) {
      const { details, ...error } = outcome as VlmError;
      expect(error).toMatchObject({ name: "OutOfMemoryError", recoverable: true });
      expect(details).toMatchObject({ inUse: expect.any(Number), peak: expect.any(Number) });
      wanted.add(details.bytes);
    }
    expect(wanted).toContain(2 ** 20);
    expect(k).toBeGreaterThan(4);
  });
});

describe("two models on one device", () => {
  it("each gives bit for bit what it gives alone", async () => {
    await useDevice(await openDevice("webgpu"));
    const model = (width: number) => {
      const w = tensor(
        Float32Array.from({ length: width * width }, (_, i) => Math.sin(i) / width),
        { shape: [width, width] },
      );
      return compile((x: Tensor) => x.matmul(w).softmax().matmul(w.transpose()).gelu());
    };
    const inputFor = (width: number, n: number): Tensor =>
      tensor(
        Float32Array.from({ length: 6 * width }, (_, i) => Math.cos(i * n + 1)),
        { shape: [6, width] },
      );
    const [a, b] = [model(24), model(40)];
    const alone: ArrayLike<number>[] = [];
    for (let n = 0; n < 4; n++) {
      alone.push(await (await a(inputFor(24, n))).data(), await (await b(inputFor(40, n))).data());
    }
    const together = await Promise.all(
      Array.from({ length: 4 }, (_, n) => [a(inputFor(24, n)), b(inputFor(40, n))])
        .flat()
        .map(async (y) => (await y).data()),
    );
    expect(together).toEqual(alone);
  });
});

it("hundreds of opens, runs and failures leave nothing behind", async () => {
  const schedule = scaled(64, 2);
  const faulty = await faultyDevice("throws", 0);
  const backend = await createWebGpuBackend({ device: faulty.device, software: true, tune: false });
  await runOn(backend, schedule, inputsOf(schedule, 1));
  const before = { ...backend.memory(), peak: 0 };
  const buffers = faulty.buffers();
  for (let n = 0; n < 300; n++) {
    await runOn(backend, schedule, inputsOf(schedule, n));
    if (n % 10 === 0) await backend.prepare(broken(`wrong${n % 3}`)).catch(() => {});
  }
  expect({ ...backend.memory(), peak: 0 }).toEqual(before);
  expect(faulty.buffers()).toBe(buffers);
  await backend.dispose();
  expect(faulty.buffers()).toBe(0);
  faulty.destroy();
});
