import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Cell, commit, compile, grad, memory, openDevice, tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";

let wasmMemory: WebAssembly.Memory;

const wasm = async () => {
  const backend = await createWasmBackend({});
  wasmMemory = (backend as unknown as { allocator: { memory: WebAssembly.Memory } }).allocator.memory;
  return schedulingDevice(backend);
};

beforeAll(async () => {
  await useDevice(await wasm());
});

const sines = Float32Array.from({ length: 2 ** 18 }, (_, i) => Math.sin(i));
const numbers = (n: number, shape: readonly number[]) => tensor(sines.subarray(0, n), { shape });

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes of the JavaScript heap that are in use for good. */
async function heapInUse(): Promise<number> {
  // Finalisers run between collections.
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return process.memoryUsage().heapUsed;
}

type Growth = {
  /** Most device bytes so far, and bytes of WASM memory, after each round. */
  sizes: { device: number; pages: number }[];
  /** What every further round leaves in the heap. (Only there collections are forced: the rounds are on their own.) */
  heap: number;
};

/** Sizes after each of several rounds of `work`. */
async function growth(rounds: number, calls: number, work: (i: number) => Promise<unknown>): Promise<Growth> {
  const sizes: Growth["sizes"] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < calls; i++) await work(round * calls + i);
    await new Promise((resolve) => setTimeout(resolve, 5));
    sizes.push({ device: memory().device!.peak, pages: wasmMemory.buffer.byteLength });
  }
  let heap = Number.POSITIVE_INFINITY;
  for (let again = 0; again < 3; again++) {
    const before = await heapInUse();
    for (let i = 0; i < calls; i++) await work((rounds + again) * calls + i);
    heap = Math.min(heap, (await heapInUse()) - before);
  }
  return { sizes, heap };
}

const MiB = 2 ** 20;

/** Nothing that the first round did not need is needed by the last. */
function expectFlat({ sizes, heap }: Growth, room: number): void {
  const [first, last] = [sizes[0]!, sizes.at(-1)!];
  expect(last.device - first.device, "device bytes").toBeLessThan(room);
  expect(last.pages - first.pages, "WASM memory").toBeLessThan(2 * room);
  expect(heap, "JavaScript heap").toBeLessThan(MiB / 4);
}

describe("memory stays flat without dispose", () => {
  it("in 1,000 compiled training steps", async () => {
    const w = new Cell(numbers(64 * 64, [64, 64]), { owner: "parameters" });
    const m = new Cell(numbers(64 * 64, [64, 64]).mul(0), { owner: "moments" });
    const step = compile((x: ReturnType<typeof tensor>) => {
      const loss = x.matmul(w.value).square().mean();
      const [dw] = grad(loss, [w]);
      m.assign(m.value.mul(0.9).add(dw));
      w.assign(w.value.sub(m.value.mul(1e-3)));
      return { loss };
    });
    const grown = await growth(5, 200, async (i) => {
      const { loss } = await step(numbers(512 * 64, [512, 64]));
      if (i % 10 === 0) await loss.item();
    });
    // The batches alone are 128 MB.
    expect(grown.sizes[4]!.device).toBeLessThan(100 * MiB);
    expectFlat(grown, 64 * MiB);
    expect(memory().byOwner.parameters).toEqual({ bytes: 64 * 64 * 4, tensors: 1 });
    expect(memory().byOwner.moments).toEqual({ bytes: 64 * 64 * 4, tensors: 1 });
  });

  it("in 1,000 training steps without compile", async () => {
    const w = new Cell(numbers(64 * 64, [64, 64]), { owner: "eager" });
    const grown = await growth(5, 200, async () => {
      const loss = numbers(32 * 64, [32, 64])
        .matmul(w.value)
        .square()
        .mean();
      const [dw] = grad(loss, [w]);
      w.assign(w.value.sub(dw.mul(1e-3)));
      await commit([loss]);
    });
    expectFlat(grown, 8 * MiB);
    expect(memory().byOwner.eager).toEqual({ bytes: 64 * 64 * 4, tensors: 1 });
  });

  it("in 1,000 calls whose 1 MB results are forgotten", async () => {
    const w = new Cell(numbers(512 * 512, [512, 512]));
    const f = compile((x: ReturnType<typeof tensor>) => x.mul(w.value).add(1));
    const x = numbers(512, [1, 512]);
    const grown = await growth(5, 200, async () => (await f(x)).data());
    // 1,000 results are 1 GB; what is alive at once is bounded by the ballast that the collector sees.
    expect(grown.sizes[4]!.device).toBeLessThan(400 * MiB);
    expectFlat(grown, 300 * MiB);
  });

  it.each(["js", "webgpu"] as const)("on %s", async (name) => {
    const device = await openDevice(name);
    await useDevice(device);
    try {
      const w = new Cell(numbers(32 * 32, [32, 32]), { owner: `parameters on ${name}` });
      const step = compile((x: ReturnType<typeof tensor>) => {
        const loss = x.matmul(w.value).square().mean();
        const [dw] = grad(loss, [w]);
        w.assign(w.value.sub(dw.mul(1e-3)));
        return { loss };
      });
      const f = compile((x: ReturnType<typeof tensor>) => x.matmul(w.value).add(1));
      const grown = await growth(3, 250, async (i) => {
        const { loss } = await step(numbers(4 * 32, [4, 32]));
        if (i % 10 === 0) await loss.item();
        await (await f(numbers(2 * 32, [2, 32]))).data();
      });
      expectFlat(grown, 4 * MiB);
      expect(memory().byOwner[`parameters on ${name}`]).toEqual({ bytes: 32 * 32 * 4, tensors: 1 });
    } finally {
      await useDevice(await wasm());
    }
  });

  it("frees a disposed result at once", async () => {
    const y = numbers(1024, [1024]).mul(2);
    await y.data();
    const before = memory().bytes;
    y.dispose();
    expect(memory().bytes).toBe(before - 4096);
  });
});
