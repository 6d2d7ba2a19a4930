/** Composites against answers that are known by hand, or from NumPy and PyTorch. */
import {
  acosh,
  argmax,
  asinh,
  bitAnd,
  cosh,
  crossEntropy,
  einsum,
  elu,
  grad,
  iota,
  logsumexp,
  pow,
  sinh,
  std,
  type Tensor,
  tensor,
  useDevice,
} from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(async () => {
  await useDevice("js");
});

describe("einsum without a result", () => {
  const x = iota(9).cast("f32").reshape([3, 3]);

  it("sums a letter that an operand repeats", async () => {
    expect(await einsum("ii", x).item()).toBe(0 + 4 + 8);
    expect(await einsum("...ii", x.reshape([1, 3, 3])).array()).toEqual([12]);
    expect(await einsum("ii,j", x, iota(2)).array()).toEqual([0, 12]);
  });

  it("orders letters by the alphabet", async () => {
    expect(await einsum("ba", x).array()).toEqual(await x.transpose().array());
  });
});

describe("at the edges", () => {
  const inf = Number.POSITIVE_INFINITY;
  const gradientAt = (fn: (x: Tensor) => Tensor, at: number[]) => {
    const x = tensor(at);
    return grad(fn(x).sum(), [x])[0].array();
  };
  const near = async (y: Tensor, want: number[]) => {
    (await y.data()).forEach((value, i) => {
      if (Number.isFinite(want[i]))
        expect(Math.abs(value / want[i]! - 1), `${value} for ${want[i]}`).toBeLessThan(1e-6);
      else expect(value).toBe(want[i]);
    });
  };

  it("hyperbolic functions keep their accuracy, and overflow no sooner than their results", async () => {
    const x = [-89, -20, -1e-6, 1e-6, 20, 89, inf];
    await near(sinh(tensor(x)), x.map(Math.sinh));
    await near(cosh(tensor(x)), x.map(Math.cosh));
    const y = [-3e38, -1e20, -1e-6, 1e-6, 1e10, 3e38, inf];
    await near(asinh(tensor(y)), y.map(Math.asinh));
    await near(
      acosh(tensor([1.001, 5, 1e10, 3e38, inf])),
      [1.001, 5, 1e10, 3e38, inf].map((v) => Math.acosh(Math.fround(v))),
    );
    expect(await acosh(tensor([0.5, -2, -1e10])).array()).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(await gradientAt(asinh, [0])).toEqual([1]);
  });

  it("gradients at a corner are PyTorch's", async () => {
    expect(await gradientAt(elu, [0])).toEqual([1]);
    expect(await gradientAt((x) => std(x), [2, 2])).toEqual([0, 0]);
    const x = tensor([0, 2]);
    const [first] = grad(pow(x, 0).sum(), [x]);
    const [second] = grad(first.sum(), [x]);
    expect(await second.array()).toEqual([0, 0]);
  });

  it("a position of NaN is found", async () => {
    const x = tensor([
      [1, Number.NaN, 3],
      [Number.NaN, 1, Number.NaN],
      [1, 3, 3],
    ]);
    expect(await argmax(x, 1).array()).toEqual([1, 0, 1]);
  });

  it("logsumexp of infinite elements is infinite", async () => {
    const x = tensor([
      [inf, 1],
      [inf, -inf],
      [-inf, -inf],
    ]);
    expect(await logsumexp(x, 1).array()).toEqual([inf, inf, -inf]);
  });

  it("cross entropy does not mind the logit −∞ of a class that is no target", async () => {
    const x = tensor([[0, -inf, 0]]);
    const half = Math.fround(Math.log(2));
    for (const target of [tensor([0], { dtype: "i32" }), tensor([[1, 0, 0]])]) {
      const loss = crossEntropy(x, target);
      expect(await loss.item()).toBe(half);
      expect(await grad(loss, [x])[0].array()).toEqual([[-0.5, 0, 0.5]]);
    }
  });
});

describe("integers", () => {
  const u8 = tensor([1, 200], { dtype: "u8" });
  const u32 = tensor([1, 2], { dtype: "u32" });

  it("become wider beside a number that they cannot hold", async () => {
    expect(await u8.lt(300).array()).toEqual([1, 1]);
    expect(await u8.clamp(-1, 256).array()).toEqual([1, 200]);
    expect(await u8.add(100).array()).toEqual([101, 44]); // 100 is a u8, and u8 wraps
    expect([u8.add(300).dtype, await u8.add(300).array()]).toEqual(["i32", [301, 500]]);
    expect(await u32.lt(-1).array()).toEqual([0, 0]);
    expect([u32.sub(3).dtype, u32.maximum(-1).dtype]).toEqual(["u32", "i32"]);
    expect(u32.add(2 ** 40).dtype).toBe("f32");
    expect(await bitAnd(tensor([-1], { dtype: "i32" }), 0xffff0000).array()).toEqual([-65536]);
  });

  it("have exact products of matrices", async () => {
    const a = tensor([[16777217, 3]], { dtype: "i32" });
    expect(await a.matmul(a.transpose()).item()).toBe(Math.imul(16777217, 16777217) + 9);
    const b = iota(24).reshape([2, 3, 4]);
    expect(await b.matmul(iota(4)).array()).toEqual(await b.cast("f32").matmul(iota(4).cast("f32")).array());
    expect(await b.transpose().matmul(b).array()).toEqual(
      await b.cast("f32").transpose().matmul(b.cast("f32")).array(),
    );
    const vector = tensor([100, 100], { dtype: "u8" });
    expect(await vector.matmul(vector).item()).toBe(20000 & 255);
  });
});
