import {
  Cell,
  checkpoint,
  commit,
  compile,
  context,
  type Device,
  grad,
  openDevice,
  realize,
  setFrozen,
  stopGradient,
  type Tensor,
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

  it("differentiates by a view that what follows views again", async () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const w = tensor([[1], [2], [3]]);
    const turned = x.transpose();
    const back = turned.transpose();
    const [dTurned, dBack, dx] = grad(back.matmul(w).square().sum(), [turned, back, x]);
    expect(await dx!.array()).toEqual([
      [28, 56, 84],
      [64, 128, 192],
    ]);
    expect(await dTurned!.array()).toEqual(await dx!.transpose().array());
    expect(await dBack!.array()).toEqual(await dx!.array());
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
  it("reaches what a checkpointed function captured that is its argument too", async () => {
    const x = tensor([[1, 2]]);
    const inner = (a: Tensor) =>
      checkpoint((b) => b.mul(x))(a.square())
        .mul(a)
        .mul(x);
    const [dx] = grad(checkpoint(inner)(x).sum(), [x]); // of x⁵
    expect(await dx.array()).toEqual([[5, 80]]);
  });

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

  it("freezes plain numbers when it records", async () => {
    let factor = 2;
    const f = compile((x: Tensor) => x.mul(factor));
    expect(await (await f(tensor([1]))).item()).toBe(2);
    factor = 3;
    expect(await (await f(tensor([1]))).item()).toBe(2);
    expect(await (await f(tensor([1, 1]))).array()).toEqual([3, 3]);
  });

  it("refuses results that it would lose", async () => {
    const x = tensor([1, 2]);
    for (const result of [3, { loss: 3 }, new Map([["x", x]])]) {
      await expect(compile(() => result as never)()).rejects.toMatchObject({ code: "TREE_LEAF" });
    }
    expect(await compile(() => undefined)()).toBeUndefined();
  });

  it("tells texts that look like a structure from the structure, and 0 from -0", async () => {
    const f = compile((x: Tensor, options: Record<string, unknown>) => x.mul(Object.keys(options).length));
    const one = tensor(1);
    expect(await (await f(one, { a: "1,b:string 2" })).item()).toBe(1);
    expect(await (await f(one, { a: "1", b: "2" })).item()).toBe(2);
    const divide = compile((x: Tensor, zero: number) => x.div(zero));
    expect(await (await divide(one, 0)).item()).toBe(Number.POSITIVE_INFINITY);
    expect(await (await divide(one, -0)).item()).toBe(Number.NEGATIVE_INFINITY);
  });

  it("records again for another argument tree, shape, dtype, plain value, device, mode or frozen set, and only then", async () => {
    const w = parameter([[1]]);
    const made: string[] = [];
    const f = compile((x: { a: Tensor } | Tensor[], ...rest: unknown[]) => {
      made.push(rest.join());
      return (Array.isArray(x) ? x[0]! : x.a).cast("f32").mul(w.value);
    });
    const x = (n = 1) => tensor(new Array<number>(n).fill(1));
    const changes: (() => Promise<unknown>)[] = [
      () => f({ a: x() }),
      () => f([x()]),
      () => f([x(), x()]),
      () => f({ a: x(2) }),
      () => f({ a: x().cast("i32") }),
      () => f({ a: x() }, 1),
      () => f({ a: x() }, 2),
      () => f({ a: x() }, "1"),
      () => context({ training: true }, () => f({ a: x() })),
    ];
    for (const [i, change] of changes.entries()) {
      await change();
      await change();
      expect(made.length, `change ${i}`).toBe(i + 1);
    }
    setFrozen(w, true);
    await f({ a: x() });
    expect(made.length).toBe(changes.length + 1);
    setFrozen(w, false);
    await f({ a: x() });
    expect(made.length).toBe(changes.length + 1);
    let times = 0;
    const g = compile((y: Tensor) => {
      times++;
      return y.add(1);
    });
    for (const name of ["js", "another", "js"]) {
      await useDevice({ ...(await openDevice("js")), name });
      expect(await (await g(x())).item()).toBe(2);
    }
    await useDevice("js");
    expect(times).toBe(2);
  });

  it("sees what changes in cells and tensors without recording again", async () => {
    const rate = new Cell(tensor(1));
    let recorded = 0;
    const f = compile((x: Tensor) => {
      recorded++;
      return x.mul(rate.value);
    });
    for (const value of [1, 2, 3]) {
      rate.assign(tensor(value));
      await commit();
      expect(await (await f(tensor([value]))).item()).toBe(value * value);
    }
    expect(recorded).toBe(1);
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

/** The js device with something done around each run. */
async function withRuns(
  around: (run: () => Promise<void>, number: number) => Promise<void>,
  work: () => Promise<void>,
) {
  const device = await openDevice("js");
  let number = 0;
  await useDevice({
    ...device,
    run: (prepared, inputs, outputs) => around(() => device.run(prepared, inputs, outputs), number++),
  });
  try {
    await work();
  } finally {
    await useDevice("js");
  }
}

describe("plans", () => {
  it("run in the order they were given, at most two in flight", async () => {
    let [inFlight, most] = [0, 0];
    const order: number[] = [];
    const slow = async (run: () => Promise<void>, number: number): Promise<void> => {
      most = Math.max(most, ++inFlight);
      await new Promise((resolve) => setTimeout(resolve, 3));
      order.push(number);
      await run();
      inFlight--;
    };
    await withRuns(slow, async () => {
      const results = Array.from({ length: 7 }, (_, i) => tensor([i]).mul(2));
      expect((await Promise.all(results.map((y) => y.item()))).join()).toBe("0,2,4,6,8,10,12");
    });
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(most).toBe(2);
  });

  it("that fail tell those who read their results, and what was made from these, and nobody else", async () => {
    const second = (run: () => Promise<void>, number: number): Promise<void> =>
      number === 1 ? Promise.reject(new Error("broken")) : run();
    await withRuns(second, async () => {
      const [a, b, c] = [tensor([1]).mul(2), tensor([1]).mul(3), tensor([1]).mul(4)];
      const reads = [a, b, c].map((y) => y.item());
      const after = b.add(1).item();
      expect(await reads[0]).toBe(2);
      await expect(reads[1]).rejects.toMatchObject({ code: "RUN_FAILED" });
      expect(await reads[2]).toBe(4);
      await expect(after).rejects.toMatchObject({ code: expect.stringMatching(/RUN_FAILED|STORAGE_GONE/) });
    });
  });

  it("that fail leave the cells they would have written as they were", async () => {
    await withRuns(
      (run, number) => (number === 1 ? Promise.reject(new Error("broken")) : run()),
      async () => {
        const w = parameter([[2]]);
        await w.value.data();
        const step = compile(() => {
          w.assign(w.value.mul(10));
          return w.value.sum();
        });
        await expect((await step()).item()).rejects.toMatchObject({ code: "RUN_FAILED" });
        expect(await w.value.item()).toBe(2);
        expect(await (await step()).item()).toBe(20);
        expect(await w.value.item()).toBe(20);
      },
    );
  });
});

describe("a loop", () => {
  it("that adds its losses up keeps no old step alive", async () => {
    const w = parameter([[1]]);
    let total: Tensor = tensor(0);
    for (let i = 0; i < 30; i++) {
      const loss = w.value.mul(tensor([[1]])).sum();
      const [dw] = grad(loss, [w]);
      w.assign(w.value.sub(dw.mul(0.01)));
      await commit([loss]);
      total = total.add(loss);
      // The loss is a leaf from now on: what it was made from is gone.
      expect(loss.node.inputs).toEqual([]);
    }
    expect(await total.item()).toBeCloseTo(30 - 0.01 * ((29 * 30) / 2), 4);
  });

  it("that never reads submits its work at every step", async () => {
    const w = parameter([[1]]);
    const plans = await plansOf(async () => {
      for (let i = 0; i < 20; i++) {
        w.assign(w.value.mul(1.5));
        commit();
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    expect(plans.length).toBe(21);
    expect(await w.value.item()).toBeCloseTo(1.5 ** 20, 0);
  });
});

describe("graphs", () => {
  it("may be 100,000 ops deep, forward and backward", { timeout: 60_000 }, async () => {
    const x = tensor([1, 2]);
    let y: Tensor = x;
    for (let i = 0; i < 100_000; i++) y = i % 2 === 0 ? y.add(1) : y.sub(1);
    const [dx] = grad(y.sum(), [x]);
    await realize(y, dx);
    expect(await y.array()).toEqual([1, 2]);
    expect(await dx.array()).toEqual([1, 1]);
  });
});
