import {
  Cell,
  checkpoint,
  commit,
  compile,
  type Device,
  grad,
  openDevice,
  realize,
  stopGradient,
  tensor,
  useDevice,
  zeros,
} from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(async () => {
  await useDevice("js");
});

const parameter = (values: number[][]) => new Cell(tensor(values), { owner: "parameters" });

describe("laziness", () => {
  it("prints a tensor that has not been computed, and one that has", async () => {
    const y = tensor([[1, 2]]).mul(2);
    expect(String(y)).toBe("Tensor f32 [1 2] (not computed)");
    expect(await y.array()).toEqual([[2, 4]]);
    expect(String(y)).toBe("Tensor f32 [1 2] (computed)");
  });

  it("reads a result twice without computing it twice", async () => {
    const y = tensor([1, 2, 3]).mul(3);
    await realize(y);
    expect(await y.data()).toEqual(new Float32Array([3, 6, 9]));
    expect(await y.data()).toEqual(new Float32Array([3, 6, 9]));
  });

  it("throws on a disposed tensor", async () => {
    const y = tensor([1]).mul(3);
    await realize(y);
    y.dispose();
    await expect(y.data()).rejects.toMatchObject({ code: "STORAGE_GONE" });
  });
});

describe("gradients", () => {
  it("differentiates a product of matrices", async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    const w = tensor([
      [1, 0],
      [0, 2],
    ]);
    const [dx, dw] = grad(x.matmul(w).sum(), [x, w]);
    expect(await dx!.array()).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(await dw!.array()).toEqual([
      [4, 4],
      [6, 6],
    ]);
  });

  it("differentiates gradients", async () => {
    const x = tensor([1, 2, 3]);
    const [dx] = grad(x.mul(x).mul(x).sum(), [x]);
    const [ddx] = grad(dx!.sum(), [x]);
    expect(await ddx!.array()).toEqual([6, 12, 18]);
  });

  it("stops where it is told to", async () => {
    const x = tensor([2]);
    const [dx] = grad(stopGradient(x.mul(x)).mul(x).sum(), [x]);
    expect(await dx!.item()).toBe(4);
  });

  it("computes a checkpointed function again and reaches what it captured", async () => {
    const w = tensor([3]);
    const x = tensor([2]);
    const f = checkpoint((a) => a.mul(a).mul(w));
    const [dx, dw] = grad(f(x).sum(), [x, w]);
    expect(await dx!.item()).toBe(12);
    expect(await dw!.item()).toBe(4);
  });

  it("reaches what a checkpointed function makes from what it captured", async () => {
    const w = tensor([[1, 2]]);
    const x = tensor([[3, 4]]);
    const f = checkpoint((a) => a.matmul(w.mul(2).transpose()));
    const [dx, dw] = grad(f(x).sum(), [x, w]);
    expect(await dx.array()).toEqual([[2, 4]]);
    expect(await dw.array()).toEqual([[6, 8]]);
  });
});

describe("cells", () => {
  it("keeps history for grad after the loss was read", async () => {
    const w = parameter([[2]]);
    const loss = w.value.mul(w.value).sum();
    expect(await loss.item()).toBe(4);
    const [dw] = grad(loss, [w]);
    expect(await dw!.item()).toBe(4);
  });

  it("ends history at a write", async () => {
    const w = parameter([[2]]);
    const loss = w.value.mul(w.value).sum();
    await loss.item();
    w.assign(w.value.sub(1));
    await commit();
    expect(() => grad(loss, [w])).toThrowError(expect.objectContaining({ code: "HISTORY_CUT" }));
    expect(await w.value.item()).toBe(1);
    expect(await loss.item()).toBe(4);
  });

  it("throws when a version is read that was replaced before it was computed", async () => {
    const w = parameter([[2]]);
    const late = w.value.mul(5);
    w.assign(w.value.sub(1));
    await commit();
    await expect(late.item()).rejects.toMatchObject({ code: "STORAGE_GONE" });
  });
});

/** The sizes of what each plan on the js device made while `work` ran. */
async function plansOf(work: () => Promise<unknown>): Promise<number[][]> {
  const device = await openDevice("js");
  const plans: number[][] = [];
  const counting: Device = {
    ...device,
    run(prepared, inputs, outputs) {
      plans.push(outputs.map(({ size }) => size));
      return device.run(prepared, inputs, outputs);
    },
  };
  await useDevice(counting);
  try {
    await work();
  } finally {
    await useDevice("js");
  }
  return plans;
}

describe("first values of cells", () => {
  const model = (sizes: number[]) => sizes.map((n) => new Cell(zeros([n]).add(n), { owner: "parameters" }));

  it("computes what is read, not everything that was ever made", async () => {
    model([5, 6]);
    const [a] = model([1, 2, 3]);
    expect(await plansOf(() => a!.value.data())).toEqual([[1]]);
  });

  it("computes all that one plan reads in one plan before it", async () => {
    const cells = model([2, 3, 4]);
    const sum = () => cells.map((cell) => cell.value.sum()).reduce((x, y) => x.add(y));
    expect(await plansOf(() => sum().item())).toEqual([[2, 3, 4], [1]]);
    const step = compile(() => {
      for (const cell of more) cell.assign(cell.value.mul(2));
      return null;
    });
    const more = model([7, 8]);
    const plans = await plansOf(async () => {
      await step();
      expect(await more[0]!.value.data()).toEqual(new Float32Array(7).fill(14));
    });
    expect(plans).toEqual([
      [7, 8],
      [7, 8],
    ]);
  });

  it("does not compute a first value that is replaced unread", async () => {
    const [a] = model([3]);
    a!.assign(tensor([1, 2, 3]));
    expect(await plansOf(() => a!.value.mul(2).data())).toEqual([[3], [3]]);
    expect(await a!.value.array()).toEqual([1, 2, 3]);
  });

  it("starts the next version when a value that was asked for is assigned before it was computed", async () => {
    const [a] = model([2]);
    const old = a!.value;
    a!.assign(a!.value.mul(10));
    await commit();
    expect(a!.version).toBe(1);
    expect(await a!.value.array()).toEqual([20, 20]);
    await expect(old.data()).rejects.toMatchObject({ code: "STORAGE_GONE" });
  });

  it("copies another cell's value as it was when the copy was made", async () => {
    const [a] = model([2]);
    const average = new Cell(a!.value);
    a!.assign(tensor([0, 0]));
    await commit();
    expect(await average.value.array()).toEqual([2, 2]);
    expect(await a!.value.array()).toEqual([0, 0]);
  });

  it("computes values made from other first values after those", async () => {
    const cells = model([2, 3]);
    const averages = cells.map((cell) => new Cell(cell.value));
    const doubled = averages.map((cell) => new Cell(cell.value.mul(2)));
    const sum = () => [...doubled, ...cells].map((cell) => cell.value.sum()).reduce((x, y) => x.add(y));
    const plans = await plansOf(async () => expect(await sum().item()).toBe(39));
    expect(plans.map((sizes) => sizes.sort())).toEqual([[2, 3], [2, 3], [2, 3], [1]]);
  });
});

describe("compile", () => {
  it("replays a training step and writes its cells", async () => {
    const w = parameter([[1]]);
    let recorded = 0;
    const step = compile((batch: { x: ReturnType<typeof tensor> }) => {
      recorded++;
      const loss = w.value.mul(batch.x).sum();
      const [dw] = grad(loss, [w]);
      w.assign(w.value.sub(dw!.mul(0.1)));
      return { loss };
    });
    const losses: number[] = [];
    for (const x of [1, 2, 3]) losses.push(await (await step({ x: tensor([[x]]) })).loss.item());
    expect(recorded).toBe(1);
    expect(losses[0]).toBeCloseTo(1, 6);
    expect(losses[1]).toBeCloseTo(1.8, 6);
    expect(losses[2]).toBeCloseTo(2.1, 6);
    expect(await w.value.item()).toBeCloseTo(0.4, 6);
  });

  it("refuses data while recording", async () => {
    let refused: Promise<unknown> = Promise.resolve();
    const f = compile((x: ReturnType<typeof tensor>) => {
      refused = expect(x.data()).rejects.toMatchObject({ code: "DATA_WHILE_TRACING" });
      return x.mul(2);
    });
    expect(await (await f(tensor([1]))).item()).toBe(2);
    await refused;
  });

  it("refuses asynchronous functions with one error, also when they ask for data", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): number => unhandled.push(error);
    process.on("unhandledRejection", note);
    const f = compile((async (x: ReturnType<typeof tensor>) => {
      await x.data();
      return x;
    }) as never);
    await expect((f as (x: unknown) => Promise<unknown>)(tensor([1]))).rejects.toMatchObject({ code: "COMPILE_ASYNC" });
    await new Promise((resolve) => setTimeout(resolve, 0));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });

  it("forgets the argument structures that were not used for longest", async () => {
    let recorded = 0;
    const f = compile((x: ReturnType<typeof tensor>) => {
      recorded++;
      return x.sum();
    });
    for (let n = 1; n <= 300; n++) {
      await (await f(zeros([n]))).item();
      await (await f(zeros([1]))).item();
    }
    expect(recorded).toBe(300);
    await (await f(zeros([300]))).item();
    expect(recorded).toBe(300);
    await (await f(zeros([2]))).item();
    expect(recorded).toBe(301);
  });

  it("leaves cells as they are when the function throws while it is recorded", async () => {
    const w = parameter([[1]]);
    let bad = true;
    const f = compile((x: ReturnType<typeof tensor>) => {
      w.assign(w.value.add(x));
      if (bad) throw new TypeError("mine");
      return x;
    });
    await expect(f(tensor([[2]]))).rejects.toThrow(new TypeError("mine"));
    expect(await w.value.item()).toBe(1);
    bad = false;
    await f(tensor([[2]]));
    expect(await w.value.item()).toBe(3);
  });
});
