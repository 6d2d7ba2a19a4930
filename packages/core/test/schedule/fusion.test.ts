import { Cell, compile, fill, grad, iota, openDevice, type Tensor, tensor, useDevice } from "@vlm/core";
import { beforeEach, describe, expect, it } from "vitest";
import { buffersOf } from "../../src/schedule/memory.ts";
import { interpreterDevice } from "./interpreter-device.ts";

let device = interpreterDevice();

beforeEach(async () => {
  device = interpreterDevice();
  await useDevice(device);
});

/** Numbers without pattern, the same at every call. */
function numbers(shape: readonly number[], seed = 1): Tensor {
  const n = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(n);
  let state = seed * 2654435761;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return tensor(data, { shape });
}

/** Both devices agree on all results; gives the kernels of the scheduled run. */
async function agree(make: () => Tensor[], tolerance = 2e-6): Promise<string[]> {
  const f = compile(() => make());
  const scheduled = await Promise.all((await f()).map((x) => x.data()));
  const kernels = device.schedules.at(-1)!.kernels.map((kernel) => kernel.kind);
  await useDevice(await openDevice("js"));
  const exact = await Promise.all(make().map((x) => x.data()));
  await useDevice(device);
  exact.forEach((want, i) => {
    const got = scheduled[i]!;
    expect(got.length).toBe(want.length);
    for (let k = 0; k < want.length; k++) {
      const [a, b] = [got[k]!, want[k]!];
      if (!(Math.abs(a - b) <= tolerance * (1 + Math.abs(b)))) expect(`output ${i} element ${k}: ${a}`).toBe(`${b}`);
    }
  });
  return kernels;
}

const norm = (x: Tensor): Tensor => {
  const centred = x.sub(x.mean(-1, { keepDims: true }));
  return centred.div(centred.mul(centred).mean(-1, { keepDims: true }).add(1));
};

describe("one kernel", () => {
  it("for a chain of elementwise ops", async () => {
    expect(
      await agree(() => [
        numbers([3, 5])
          .add(1)
          .mul(numbers([5], 2))
          .sub(numbers([3, 1], 3)),
      ]),
    ).toEqual(["loop"]);
  });

  it("for a normalisation: two reductions and a map", async () => {
    expect(await agree(() => [norm(numbers([4, 7]))])).toEqual(["loop"]);
  });

  it("for two sums of the same data", async () => {
    const x = numbers([4, 7]);
    expect(await agree(() => [x.sum(0), x.mul(numbers([4, 7], 3)).sum(0)])).toEqual(["loop"]);
  });

  it("for a product with bias, activation and residual", async () => {
    const made = await agree(() => {
      const h = numbers([2, 3, 4])
        .matmul(numbers([4, 5], 2))
        .add(numbers([5], 3));
      return [h.maximum(0).add(numbers([2, 3, 5], 4))];
    });
    expect(made).toEqual(["contract"]);
  });

  it("for an optimiser's update of a parameter and its moments", async () => {
    const [p, m] = [new Cell(numbers([3, 4])), new Cell(numbers([3, 4], 2))];
    const step = compile((g: Tensor) => {
      m.assign(m.value.mul(0.9).add(g.mul(0.1)));
      p.assign(p.value.sub(m.value.mul(0.01)));
      return {};
    });
    await step(numbers([3, 4], 3));
    await p.value.data();
    expect(device.schedules.at(-1)!.kernels.length).toBe(1);
  });

  it("for a convolution, as an implicit product", async () => {
    const { windows } = await import("../../src/ops/view.ts");
    const made = await agree(() => {
      const x = numbers([2, 3, 6, 6]).pad([
        [1, 1],
        [1, 1],
      ]);
      const w = windows(x, [2, 3], [3, 3], [2, 2], [1, 1]); // [2 3 3 3 3 3]
      const rows = w.permute([0, 2, 3, 1, 4, 5]).reshape([18, 27]);
      return [rows.matmul(numbers([27, 4], 2))];
    });
    expect(made).toEqual(["contract"]);
  });
});

describe("the same numbers as the reference device", () => {
  it("through views of views", async () => {
    await agree(() => {
      const x = numbers([4, 6, 5]);
      return [
        x.permute([2, 0, 1]).reshape([5, 24]).slice([1, 4], [null, null, 5]).flip([1]),
        x
          .slice(null, [5, 0, -2])
          .transpose()
          .pad([[1, 2]])
          .mul(2),
        x.reshape([8, 15]).transpose().reshape([10, 12]).sum(0),
        x
          .pad(
            [
              [1, 1],
              [0, 0],
              [2, 0],
            ],
            3,
          )
          .reshape([-1, 7])
          .max(-1),
        x.dilate([1, 2, 3]).slice([1, 3]),
      ];
    });
  });

  it("in gradients of windows, pads and slices", async () => {
    const { windows } = await import("../../src/ops/view.ts");
    await agree(() => {
      const x = numbers([2, 7]);
      const w = windows(x, [1], [3], [2], [1]);
      const [dx] = grad(w.mul(numbers(w.shape, 5)).sum(), [x]);
      const y = windows(x, [1], [2], [1], [3]);
      const [dy] = grad(y.mul(y).mul(numbers(y.shape, 6)).sum(), [x]);
      const [ddy] = grad(dy!.mul(numbers([2, 7], 8)).sum(), [x]);
      const [ds] = grad(
        x
          .slice(null, [6, 0, -2])
          .mul(numbers([2, 3], 4))
          .sum(),
        [x],
      );
      return [dx!, dy!, ddy!, ds!];
    });
  });

  it("in attention and its gradients", async () => {
    await agree(() => {
      const [q, k, v] = [1, 2, 3].map((seed) => numbers([2, 5, 8], seed).reshape([2, 5, 2, 4]).permute([0, 2, 1, 3]));
      const s = q!.matmul(k!.transpose()).mul(0.5);
      const p = s
        .sub(s.max(-1, { keepDims: true }))
        .mul(0.1)
        .add(1);
      const y = p
        .div(p.sum(-1, { keepDims: true }))
        .matmul(v!)
        .permute([0, 2, 1, 3])
        .reshape([2, 5, 8]);
      return [y, ...grad(y.mul(numbers([2, 5, 8], 7)).sum(), [q!, k!, v!])];
    }, 1e-5);
  });

  it("in a block of a network with its gradients", async () => {
    const made = await agree(() => {
      const x = numbers([2, 3, 8]);
      const [w1, b1, w2] = [numbers([8, 6], 2), numbers([6], 3), numbers([6, 8], 4)];
      const h = norm(x).matmul(w1).add(b1);
      const y = x.add(h.mul(h.maximum(0)).matmul(w2));
      return [y, ...grad(norm(y).mul(y).sum(), [x, w1, b1, w2])];
    }, 1e-5);
    expect(made.length).toBeLessThanOrEqual(12);
  });

  it("with constants, counters and empty shapes", async () => {
    await agree(() => [
      fill(3, [2, 2]).add(iota(2)),
      iota(6).reshape([2, 3]).mul(2).sum(0),
      numbers([0, 3]).sum(0),
      numbers([2, 0])
        .matmul(numbers([0, 3]))
        .add(1),
      numbers([3, 0]).mul(2),
      numbers([2, 2]),
      numbers([2, 2]).reshape([4]),
    ]);
  });

  it("when an output is wanted twice", async () => {
    await agree(() => {
      const y = numbers([4]).mul(2);
      return [y, y, y.reshape([2, 2]), y.reshape([2, 2])];
    });
  });

  it("in chains deeper than the call stack", async () => {
    const repeat = (x: Tensor, times: number, step: (x: Tensor) => Tensor): Tensor => {
      for (let i = 0; i < times; i++) x = step(x);
      return x;
    };
    const x = numbers([2, 3]);
    await agree(() => [repeat(x, 5000, (y) => y.mul(0.999).add(0.001))], 1e-4);
    await agree(() => [repeat(x, 2000, (y) => y.transpose())]);
    await agree(
      () => [
        repeat(x.sum(1), 2000, (y) => y.mul(0.999))
          .add(x.sum(1))
          .sum(),
      ],
      1e-4,
    );
    await agree(() => [...grad(repeat(x, 2000, (y) => y.mul(0.999)).sum(), [x])], 1e-4);
    await agree(() => [repeat(x, 1500, (y) => y.maximum(y.flip([1]).mul(0.5)))]);
    await agree(() => [
      repeat(numbers([2, 2]).abs(), 3000, (y) =>
        y.matmul(
          tensor([
            [0.5, 0.5],
            [0.5, 0.5],
          ]),
        ),
      ),
    ]);
  });

  it("with few buffers per kernel", async () => {
    device = interpreterDevice(5);
    await useDevice(device);
    const many = Array.from({ length: 9 }, (_, i) => numbers([6], i + 1));
    await agree(() => [many.reduce((a, b) => a.mul(2).add(b))]);
    await agree(() => [
      many
        .map((x) => x.mul(x).sum())
        .reduce((a, b) => a.add(b))
        .sqrt(),
      ...many.map((x) => x.add(1)),
    ]);
    await agree(() => {
      const sum = many.reduce((a, b) => a.add(b));
      return [sum.mul(sum.sum()), ...grad(sum.mul(sum).sum(), many)];
    });
    for (const { kernels } of device.schedules) {
      for (const kernel of kernels) {
        const { reads, writes } = buffersOf(kernel);
        expect(new Set([...reads, ...writes]).size, kernel.name).toBeLessThanOrEqual(5);
      }
    }
  });
});
