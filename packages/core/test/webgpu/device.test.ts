import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Buffer } from "../../src/backends/backend.ts";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { onDebug } from "../../src/debug.ts";
import { bfloatToNumber, type DType, type HostArray, halfToNumber, hostArray } from "../../src/dtype.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import { scale } from "../../src/ir/linear.ts";
import type { KernelOp } from "../../src/op.ts";
import { addOp } from "../../src/ops/arithmetic.ts";
import { difference, expected, inputsOf, runOn } from "../wasm/compare.ts";
import { faultyDevice } from "./faulty-device.ts";
import { chain, input, map, output, product, scaled, scaledRows, sums, temporary } from "./schedules.ts";

let backend: WebGpuBackend;
beforeAll(async () => {
  backend = await createWebGpuBackend({ software: false, tune: false });
});
afterAll(() => backend.dispose());

const same = async (on: WebGpuBackend, schedule: Schedule, seed = 1): Promise<void> => {
  const inputs = inputsOf(schedule, seed);
  expect(difference(schedule, await runOn(on, schedule, inputs), expected(schedule, inputs))).toBeNull();
};

const roundTrip = async (dtype: DType, data: HostArray): Promise<HostArray> => {
  const buffer = backend.allocate(dtype, data.length);
  backend.write(buffer, data);
  const out = await backend.read(buffer);
  backend.free(buffer);
  return out;
};

const bitsOf = (data: HostArray): Uint32Array => new Uint32Array(data.buffer, data.byteOffset, data.length);

describe("storage", () => {
  it.each<DType>(["f32", "i32", "u32", "u8", "bool", "f16", "bf16"])("%s of every length comes back", async (dtype) => {
    for (const size of [1, 2, 3, 4, 5, 17]) {
      const data = hostArray(dtype, size).map((_, i) => (dtype === "bool" ? i % 2 : i));
      expect(await roundTrip(dtype, data)).toEqual(data);
    }
  });

  it.each([
    ["f16", halfToNumber],
    ["bf16", bfloatToNumber],
  ] as const)("%s: all patterns survive a kernel bit by bit, NaN as NaN", async (dtype, widen) => {
    const all = Float32Array.from({ length: 65536 }, (_, bits) => widen(bits));
    const copy = map(65536, 1, (build, index) => build.load(0, index, dtype));
    const schedule: Schedule = { buffers: [input(0, 65536, dtype), output(0, 65536, dtype)], kernels: [copy] };
    const [got] = await runOn(backend, schedule, [all]);
    const wrong = Array.from(all.keys()).filter((i) => !Object.is(got![i], all[i]));
    expect(wrong).toEqual([]);
  });

  it.each<DType>(["f16", "bf16"])(
    "f32 to %s rounds halves to even, overflows to infinity, keeps subnormals",
    async (dtype) => {
      const samples = [
        1, 1.00048828125, 1.001, 65504, 65519.9, 65520, 65536, 1e-8, 5.96e-8, 8.9e-8, 6.1e-5, 3.4e38, 0.1, -0,
      ];
      const data = Float32Array.from(samples.flatMap((x) => [x, -x]));
      const store = map(data.length, 1, (build, index) => build.load(0, index, "f32"));
      const schedule: Schedule = { buffers: [input(0, data.length), output(0, data.length, dtype)], kernels: [store] };
      const [got] = await runOn(backend, schedule, [data]);
      expect([...bitsOf(got!)]).toEqual([...bitsOf(await roundTrip(dtype, data))]);
    },
  );

  it("elements of one word written by different threads do not disturb each other", async () => {
    for (const dtype of ["bool", "u8", "f16"] as const) {
      // Transposed by an odd stride: neighbours in memory belong to threads far apart.
      const n = 101;
      const kernel = map(n, 1, (build, index) => build.load(0, index, dtype));
      const stage = (kernel as Extract<typeof kernel, { kind: "loop" }>).stages[0]!;
      if (stage.kind !== "store") throw new Error("a map stores");
      const spread = { ...kernel, stages: [{ ...stage, index: scale(stage.index, 3) }] } as typeof kernel;
      const schedule: Schedule = { buffers: [input(0, n, dtype), output(0, 3 * n, dtype)], kernels: [spread] };
      const inputs = inputsOf(schedule, 3);
      const got = await runOn(backend, schedule, inputs);
      for (let i = 0; i < n; i++) expect(got[0]![3 * i]).toBe(inputs[0]![i]);
      for (let i = 0; i < n; i++)
        expect(got[0]![3 * i + 1]).toSatisfy((x: number) => Number.isNaN(x) || x === 77 || x === 1);
    }
  });
});

describe("plans", () => {
  it("temporaries of plans share buffers, and a loop takes no new memory", async () => {
    const executables = [await backend.prepare(chain(16)), await backend.prepare(chain(8))];
    const before = backend.memory();
    const x = backend.allocate("f32", 256);
    const x2 = backend.allocate("f32", 64);
    let after = backend.memory();
    for (let i = 0; i < 30; i++) {
      const y = backend.allocate("f32", 16);
      const y2 = backend.allocate("f32", 8);
      await Promise.all([backend.run(executables[0]!, [x], [y]), backend.run(executables[1]!, [x2], [y2])]);
      backend.free(y);
      backend.free(y2);
      if (i === 1) after = backend.memory();
    }
    expect(backend.memory()).toEqual(after);
    backend.free(x);
    backend.free(x2);
    expect(backend.memory().bytes).toBe(before.bytes);
    for (const executable of executables) executable.dispose();
  });

  it("work that takes long is several submissions, with the same result", async () => {
    const { device, destroy, calls } = await faultyDevice("throws", 0, { only: "submit" });
    const schedule = chain(16);
    const inputs = inputsOf(schedule, 1);
    const submits: number[] = [];
    for (const submitWork of [undefined, 1]) {
      const cut = await createWebGpuBackend({ device, software: true, tune: false, ...(submitWork && { submitWork }) });
      const before = calls();
      expect(difference(schedule, await runOn(cut, schedule, inputs), expected(schedule, inputs))).toBeNull();
      // One reads the result.
      submits.push(calls() - before - 1);
      await cut.dispose();
    }
    expect(submits).toEqual([1, 3]);
    destroy();
  });

  it("other sizes need no other pipelines", async () => {
    await same(backend, sums(40, 1000));
    await same(backend, scaled(1000, 3));
    await same(backend, product(40, 24, 48));
    const { pipelines } = backend;
    await same(backend, sums(37, 900));
    await same(backend, scaled(1004, 3));
    await same(backend, product(44, 28, 44));
    expect(backend.pipelines).toBe(pipelines);
  });

  it("the same kernel on other buffers is the same pipeline", async () => {
    const double = (from: number, to: number) =>
      map(50, to, (build, index) =>
        build.apply(addOp, [build.load(from, index, "f32"), build.constant(0.5, "f32")], "f32"),
      );
    const { pipelines } = backend;
    await same(backend, {
      buffers: [input(0, 50), output(0, 50), temporary(50), temporary(50)],
      kernels: [double(0, 3), double(3, 2), double(2, 1)],
    });
    expect(backend.pipelines).toBe(pipelines + 1);
  });

  it("an output may take the memory of an input", async () => {
    const executable = await backend.prepare(scaled(100, 2));
    const x = backend.allocate("f32", 100);
    backend.write(x, new Float32Array(100).fill(3));
    await backend.run(executable, [x], [x]);
    await backend.run(executable, [x], [x]);
    expect([...(await backend.read(x))]).toEqual(new Array(100).fill(12));
    backend.free(x);
    executable.dispose();
  });

  it("long sums of few rows are cut in parts; rows and columns", async () => {
    await same(backend, sums(2, 50_000));
    await same(backend, sums(20, 9000, true));
    await same(backend, sums(3, 20_001, false, "f16"));
  });

  it("reductions that need each other are cut in parts one after the other, stores in a map of their own", async () => {
    const schedule = scaledRows(3, 40_000);
    const before = backend.pipelines;
    await same(backend, schedule);
    // Two steps of two kernels each and the map; the first may be known from other sums.
    expect(backend.pipelines - before).toBeGreaterThanOrEqual(4);
    const { device, destroy } = await faultyDevice("throws", 0, { limits: { maxStorageBuffersPerShaderStage: 3 } });
    const narrow = await createWebGpuBackend({ device, software: false, tune: false });
    await same(narrow, schedule);
    expect(narrow.pipelines).toBe(1);
    await narrow.dispose();
    destroy();
  });

  it("products with a long sum are cut in parts", async () => {
    await same(backend, product(33, 2048, 40, true));
  });

  it("beyond 65,535 workgroups the grid folds", async () => {
    const n = 65_536 * 128 + 5;
    const executable = await backend.prepare(scaled(n, 2, "u8"));
    const x = backend.allocate("u8", n);
    const y = backend.allocate("u8", n);
    backend.write(x, new Uint8Array(n).fill(21));
    await backend.run(executable, [x], [y]);
    const got = (await backend.read(y)) as Uint8Array;
    expect(got.every((value) => value === 42)).toBe(true);
    for (const buffer of [x, y]) backend.free(buffer);
    executable.dispose();
  });

  it("with timestamps, kernels report their time", async () => {
    const events: string[] = [];
    const undo = onDebug(
      (event) => event.kind === "kernel" && events.push(`${event.name} ${event.milliseconds >= 0}`),
      2,
    );
    try {
      await same(backend, chain(8));
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      undo();
    }
    expect(events).toEqual(["map true", "sum true", "map true"]);
  });
});

describe("f16", () => {
  it("as operands of products: bit for bit what f32 gives, where the adapter has it", async () => {
    const half = await createWebGpuBackend({ software: false, tune: false, f16: true });
    const schedule = product(64, 48, 72, false, "f16");
    const inputs = inputsOf(schedule, 5);
    const sources: string[] = [];
    const undo = onDebug((event) => event.kind === "source" && sources.push(event.text), 4);
    const got = await runOn(half, schedule, inputs).finally(undo);
    expect(sources.some((text) => text.startsWith("enable f16;"))).toBe(true);
    expect(got).toEqual(await runOn(backend, schedule, inputs));
    expect(difference(schedule, got, expected(schedule, inputs))).toBeNull();
    await half.dispose();
  });

  it("is refused by name where the adapter has it not; without asking it is storage", async () => {
    const { device, destroy } = await faultyDevice("throws", 0);
    await expect(createWebGpuBackend({ device, f16: true })).rejects.toMatchObject({
      name: "FeatureMissingError",
      code: "WEBGPU_FEATURE",
      message: expect.stringMatching(/has no shader-f16/),
    });
    const plain = await createWebGpuBackend({ device, software: true, tune: false });
    await same(plain, product(20, 24, 28, false, "f16"));
    await plain.dispose();
    destroy();
  });
});

describe("a device with narrow bindings", () => {
  it("reads and writes tensors that are longer than a binding", async () => {
    const narrow = await faultyDevice("throws", 0, { limits: { maxStorageBufferBindingSize: 1024 } });
    const on = await createWebGpuBackend({ device: narrow.device, software: true, tune: false });
    await same(on, scaled(1000, 3));
    await same(on, scaled(1000, 3, "u8"));
    await same(on, sums(30, 20));
    await same(on, product(20, 24, 28));
    const table = scaled(10_000, 2);
    await expect(on.prepare(table)).rejects.toMatchObject({
      name: "LimitExceededError",
      message: expect.stringMatching(/touches \d+ buffers \(or parts of them\), the device allows \d+/),
    });
    await on.dispose();
    narrow.destroy();
  });
});

describe("errors", () => {
  const broken = (wgsl: string): Schedule => {
    const op: KernelOp = {
      kind: "kernel",
      name: "broken",
      outputs: ([x]) => [x!],
      webgpu: () => ({ passes: [{ wgsl, bindings: [{ input: 0 }, { output: 0 }], workgroups: [1, 1, 1] }] }),
    };
    const operand = (buffer: number) => ({ buffer, shape: [4], dtype: "f32" as const });
    return {
      buffers: [input(0, 4), output(0, 4)],
      kernels: [{ kind: "custom", name: "broken", op, attributes: {}, inputs: [operand(0)], outputs: [operand(1)] }],
    };
  };

  it("a shader that does not compile shows its lines", async () => {
    const wgsl = "@compute @workgroup_size(1)\nfn main() {\n  let x = 1;\n  y = x;\n}";
    const error = await backend.prepare(broken(wgsl)).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "ShaderCompileError", details: { wgsl } });
    expect((error as Error).message).toContain('kernel "broken" does not compile: 4:3');
    expect((error as Error).message).toContain("  >    4 |   y = x;");
  });

  it("the device works on after such a shader", async () => {
    await same(backend, scaled(10, 2));
  });

  it("a buffer beyond the limit is refused with the numbers", () => {
    const limit = 2 ** 31;
    expect(() => backend.allocate("f32", limit)).toThrow(
      expect.objectContaining({ name: "LimitExceededError", details: { size: limit } }),
    );
  });

  it("a freed buffer cannot be used", async () => {
    const buffer = backend.allocate("f32", 4);
    backend.free(buffer);
    backend.free(buffer);
    const freed = expect.objectContaining({ name: "DisposedError" });
    expect(() => backend.write(buffer, new Float32Array(4))).toThrow(freed);
    await expect(backend.read(buffer)).rejects.toEqual(freed);
    expect(() => backend.write(backend.allocate("f32", 3), new Float32Array(4))).toThrow(/4 elements .* buffer of 3/);
  });

  it("a lost device fails what is pending and everything after, and the application's device is not destroyed", async () => {
    const { device, lose } = await faultyDevice("throws", 0);
    const on = await createWebGpuBackend({ device, software: true });
    const executable = await on.prepare(scaled(8, 2));
    const [x, y] = [on.allocate("f32", 8), on.allocate("f32", 8)] as [Buffer, Buffer];
    on.write(x, new Float32Array(8));
    const pending = Promise.allSettled([on.run(executable, [x], [y]), on.read(y)]);
    lose();
    const lost = expect.objectContaining({ name: "DeviceLostError", recoverable: true });
    for (const each of await pending) if (each.status === "rejected") expect(each.reason).toEqual(lost);
    await expect(on.run(executable, [x], [y])).rejects.toEqual(lost);
    await expect(on.read(y)).rejects.toEqual(lost);
    expect(() => on.allocate("f32", 1)).toThrow(lost);
    await on.dispose();

    const other = await faultyDevice("throws", 0);
    const kept = await createWebGpuBackend({ device: other.device, software: true });
    await kept.dispose();
    await expect(kept.prepare(scaled(8, 2))).rejects.toMatchObject({ name: "DisposedError" });
    other.device.createBuffer({ size: 16, usage: 8 }).destroy();
    await other.device.queue.onSubmittedWorkDone();
    other.destroy();
  });
});
