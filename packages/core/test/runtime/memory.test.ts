import { Cell, commit, compile, grad, memory, tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(async () => {
  await useDevice("wasm");
});

const sines = Float32Array.from({ length: 2 ** 18 }, (_, i) => Math.sin(i));
const numbers = (n: number, shape: readonly number[]) => tensor(sines.subarray(0, n), { shape });

/** Device bytes after each of several rounds of `work`. */
async function growth(rounds: number, calls: number, work: (i: number) => Promise<unknown>): Promise<number[]> {
  const sizes: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < calls; i++) await work(round * calls + i);
    await new Promise((resolve) => setTimeout(resolve, 5));
    sizes.push(memory().device!.peak);
  }
  return sizes;
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
    const sizes = await growth(5, 200, async (i) => {
      const { loss } = await step(numbers(512 * 64, [512, 64]));
      if (i % 10 === 0) await loss.item();
    });
    // The batches alone are 128 MB.
    expect(sizes[4]!).toBeLessThan(100 * 2 ** 20);
    expect(memory().byOwner.parameters).toEqual({ bytes: 64 * 64 * 4, tensors: 1 });
    expect(memory().byOwner.moments).toEqual({ bytes: 64 * 64 * 4, tensors: 1 });
  });

  it("in 300 training steps without compile", async () => {
    const w = new Cell(numbers(64 * 64, [64, 64]), { owner: "eager" });
    const sizes = await growth(3, 100, async () => {
      const loss = numbers(32 * 64, [32, 64])
        .matmul(w.value)
        .square()
        .mean();
      const [dw] = grad(loss, [w]);
      w.assign(w.value.sub(dw.mul(1e-3)));
      await commit([loss]);
    });
    expect(sizes[2]! - sizes[0]!).toBeLessThan(8 * 2 ** 20);
    expect(memory().byOwner.eager).toEqual({ bytes: 64 * 64 * 4, tensors: 1 });
  });

  it("in 1,000 calls whose 1 MB results are forgotten", async () => {
    const w = new Cell(numbers(512 * 512, [512, 512]));
    const f = compile((x: ReturnType<typeof tensor>) => x.mul(w.value).add(1));
    const x = numbers(512, [1, 512]);
    const sizes = await growth(5, 200, async () => (await f(x)).data());
    // 1,000 results are 1 GB; what is alive at once is bounded by the ballast that the collector sees.
    expect(sizes[4]!).toBeLessThan(400 * 2 ** 20);
  });

  it("frees a disposed result at once", async () => {
    const y = numbers(1024, [1024]).mul(2);
    await y.data();
    const before = memory().bytes;
    y.dispose();
    expect(memory().bytes).toBe(before - 4096);
  });
});
