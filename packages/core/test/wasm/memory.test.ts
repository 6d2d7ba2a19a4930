import { expect, test } from "vitest";
import type { Buffer } from "../../src/backends/backend.ts";
import { Allocator } from "../../src/backends/wasm/allocator.ts";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { ExprBuilder } from "../../src/ir/expr.ts";
import type { BufferSpec, Kernel, Schedule } from "../../src/ir/kernel.ts";
import { axis } from "../../src/ir/linear.ts";
import { planMemory } from "../../src/schedule/memory.ts";
import { generator } from "./random-schedules.ts";

const START = 65536;

test("allocations never overlap, and all that is freed is one range again", () => {
  const random = generator(9);
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 200 });
  const allocator = new Allocator(memory, START, 200);
  const live: { address: number; size: number }[] = [];
  for (let step = 0; step < 3000; step++) {
    if (live.length > 0 && random() < 0.48) {
      const [gone] = live.splice(Math.floor(random() * live.length), 1);
      allocator.free(gone!.address);
      continue;
    }
    const size = Math.floor(random() ** 3 * 60_000);
    const address = allocator.allocate(size);
    expect(address % 64).toBe(0);
    expect(address + size).toBeLessThanOrEqual(memory.buffer.byteLength);
    for (const other of live) {
      const apart = address + size <= other.address || other.address + other.size <= address;
      if (!apart) expect.fail(`${address} + ${size} meets ${other.address} + ${other.size}`);
    }
    live.push({ address, size });
  }
  for (const { address } of live) allocator.free(address);
  expect(allocator.allocate(1000)).toBe(START);
});

test("the same size gets the same place, so a loop does not grow", () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 200 });
  const allocator = new Allocator(memory, START, 200);
  const keep = allocator.allocate(100);
  let pages = 0;
  for (let step = 0; step < 1000; step++) {
    const a = allocator.allocate(300_000);
    const b = allocator.allocate(100_000);
    allocator.free(a);
    allocator.free(b);
    if (step === 0) pages = memory.buffer.byteLength;
  }
  expect(memory.buffer.byteLength).toBe(pages);
  allocator.free(keep);
});

test("memory that is not to be had, double frees and freed buffers are typed errors", async () => {
  const backend = await createWasmBackend({ threads: 1, maximumBytes: 2 ** 23 });
  expect(() => backend.allocate("f32", 2 ** 22)).toThrowErrorMatchingInlineSnapshot(`
    [OutOfMemoryError: [WASM_MEMORY] wasm: no memory for 16777216 bytes; 0 are in use (at most 1048576 so far), 2097152 held, and no more can be had
      use smaller batches or a narrower dtype, dispose of tensors, or use the webgpu device]
  `);
  const buffer = backend.allocate("f32", 100);
  backend.free(buffer);
  expect(() => backend.free(buffer)).toThrowErrorMatchingInlineSnapshot(`
    [DisposedError: [WASM_BUFFER_FREED] wasm: the f32 buffer of 100 elements has been freed
      keep the tensor alive while it is in use]
  `);
  await expect(backend.read(buffer)).rejects.toThrow(/WASM_BUFFER_FREED/);
  expect(backend.memory()).toEqual({ bytes: 0, buffers: 0, peak: 400 });
});

test("when memory does not grow, the last run's temporaries give way; then it is told, and the device stays usable", async () => {
  const backend = await createWasmBackend({ threads: 1 });
  const { memory } = (backend as unknown as { allocator: Allocator }).allocator;
  const size = 2 ** 20;
  const executable = await backend.prepare(chain([size, size, size, size]));
  const buffers = [backend.allocate("f32", size), backend.allocate("f32", size)];
  const [x, y] = buffers as [Buffer, Buffer];
  backend.write(x, new Float32Array(size).fill(3));
  const works = async (): Promise<void> => {
    await backend.run(executable, [x], [y]);
    expect((await backend.read(y)).every((value) => value === 3)).toBe(true);
  };
  await works();
  memory.grow = () => {
    throw new RangeError("injected");
  };
  // Without room at the end, the third one of this size fits only where the temporaries were.
  buffers.push(backend.allocate("f32", size), backend.allocate("f32", size));
  let error: unknown;
  while (!error) {
    try {
      buffers.push(backend.allocate("f32", size));
    } catch (thrown) {
      error = thrown;
    }
  }
  const { bytes, buffers: count } = backend.memory();
  // No room for another one is left, so the temporaries' is taken.
  expect(memory.buffer.byteLength - bytes).toBeLessThan(size * 4 + 2 ** 21);
  expect(error).toMatchObject({
    name: "OutOfMemoryError",
    recoverable: true,
    details: { bytes: size * 4, inUse: expect.any(Number), peak: expect.any(Number) },
  });
  expect([bytes, count]).toEqual([buffers.length * size * 4, buffers.length]);
  await expect(backend.run(executable, [x], [y])).rejects.toMatchObject({ name: "OutOfMemoryError" });
  for (const buffer of buffers.splice(2)) backend.free(buffer);
  await works();
  for (const buffer of [x, y]) backend.free(buffer);
  expect(backend.memory().buffers).toBe(0);
  await backend.dispose();
});

/** A chain of copies through temporaries of the given sizes. */
function chain(sizes: readonly number[]): Schedule {
  const build = new ExprBuilder();
  const kernels = sizes.slice(1).map(
    (size, at): Kernel => ({
      kind: "loop",
      name: `copy${at}`,
      outer: [size],
      inner: [],
      stages: [
        {
          kind: "store",
          level: "outer",
          buffer: at + 1,
          index: axis(0, size),
          value: build.load(at, axis(0, size), "f32"),
        },
      ],
    }),
  );
  const roleOf = (at: number): BufferSpec["role"] =>
    at === 0 ? "input" : at === sizes.length - 1 ? "output" : "temporary";
  return {
    buffers: sizes.map((size, at) => ({
      dtype: "f32",
      size,
      role: roleOf(at),
      position: roleOf(at) === "temporary" ? -1 : 0,
    })),
    kernels,
  };
}

test("temporaries share memory unless they live at the same time", () => {
  const plan = planMemory(chain([64, 64, 64, 64, 64, 64]), 64);
  expect(plan.offsets).toEqual([-1, 0, 256, 0, 256, -1]);
  expect(plan.bytes).toBe(512);
});

test("a schedule that reads an unwritten temporary is refused", () => {
  const schedule = chain([4, 4, 4]);
  expect(() => planMemory({ ...schedule, kernels: schedule.kernels.slice(1) }, 64)).toThrow(/reads temporary 1/);
});
