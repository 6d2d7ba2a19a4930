/** Whole programs whose results all devices must agree on with the float64 reference. */
import { fill, grad, iota, type Tensor, tensor } from "@vlm/core";
import { windows } from "../../src/ops/view.ts";

/** Numbers without pattern, the same at every call. */
export function numbers(shape: readonly number[], seed = 1): Tensor {
  const n = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(n);
  let state = Math.imul(seed, 2654435761);
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return tensor(data, { shape });
}

const norm = (x: Tensor): Tensor => {
  const centred = x.sub(x.mean(-1, { keepDims: true }));
  return centred.mul(centred.mul(centred).mean(-1, { keepDims: true }).add(1e-5).rsqrt());
};

const attention = (x: Tensor, w: Tensor, heads: number): Tensor => {
  const [B, N, D] = x.dims(3);
  const all = x
    .matmul(w)
    .reshape([B, N, 3 * heads, D / heads])
    .permute([0, 2, 1, 3]);
  const [q, k, v] = [0, 1, 2].map((i) => all.slice(null, [i * heads, (i + 1) * heads])) as [Tensor, Tensor, Tensor];
  const s = q.matmul(k.transpose()).mul((D / heads) ** -0.5);
  const e = s.sub(s.max(-1, { keepDims: true })).exp();
  return e
    .div(e.sum(-1, { keepDims: true }))
    .matmul(v)
    .permute([0, 2, 1, 3])
    .reshape([B, N, D]);
};

export const programs: Record<string, () => Tensor[]> = {
  "elementwise chain": () => [
    numbers([3, 5])
      .add(1)
      .mul(numbers([5], 2))
      .sub(numbers([3, 1], 3))
      .tanh(),
  ],
  "normalisation of short and long rows": () => [
    norm(numbers([4, 7])),
    norm(numbers([3, 700])),
    norm(numbers([70, 20])),
  ],
  "sums over rows, columns and everything": () => {
    const x = numbers([37, 129]);
    return [
      x.sum(0),
      x.sum(1),
      x.sum(),
      x.reshape([37, 3, 43]).sum([0, 2]),
      x.mul(numbers([37, 129], 3)).sum(0),
      x.max(0),
    ];
  },
  "products of all transpositions": () => {
    const [a, b] = [numbers([2, 33, 17]), numbers([2, 17, 41], 2)];
    const [at, bt] = [numbers([2, 17, 33], 3).transpose(), numbers([2, 41, 17], 4).transpose()];
    return [a.matmul(b), at.matmul(b), a.matmul(bt), at.matmul(bt), numbers([70, 65], 5).matmul(numbers([65, 90], 6))];
  },
  "product with bias, activation and residual": () => [
    numbers([2, 30, 40])
      .matmul(numbers([40, 50], 2))
      .add(numbers([50], 3))
      .gelu()
      .add(numbers([2, 30, 50], 4)),
  ],
  "convolution as an implicit product": () => {
    const w = windows(
      numbers([2, 3, 9, 9]).pad([
        [1, 1],
        [1, 1],
      ]),
      [2, 3],
      [3, 3],
      [2, 2],
      [1, 1],
    );
    return [
      w
        .permute([0, 2, 3, 1, 4, 5])
        .reshape([50, 27])
        .matmul(numbers([27, 4], 2)),
    ];
  },
  "views of views": () => {
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
  },
  "a transformer block with its gradients": () => {
    const x = numbers([2, 7, 24]);
    const parts = [numbers([24, 72], 2), numbers([24, 48], 3), numbers([48], 4), numbers([48, 24], 5)].map((w) =>
      w.mul(0.3),
    );
    const [qkv, up, bias, down] = parts as [Tensor, Tensor, Tensor, Tensor];
    const h = x.add(attention(norm(x), qkv, 3));
    const y = h.add(norm(h).matmul(up).add(bias).gelu().matmul(down));
    return [y, ...grad(y.mul(numbers([2, 7, 24], 9)).sum(), [x, qkv, up, bias, down])];
  },
  "gradients of gradients": () => {
    const [x, w] = [numbers([3, 4]), numbers([4, 4], 2)];
    const [dx] = grad(x.matmul(w).tanh().sum(), [x]);
    return [dx, ...grad(dx.square().sum(), [x, w])];
  },
  "constants, counters and empty shapes": () => [
    fill(3, [2, 2]).add(iota(2)),
    iota(6).reshape([2, 3]).mul(2).sum(0),
    numbers([0, 3]).sum(0),
    numbers([2, 0])
      .matmul(numbers([0, 3]))
      .add(1),
    numbers([3, 0]).mul(2),
    numbers([2, 2]),
  ],
  "narrow floats and bools": () => {
    const x = numbers([3, 7]);
    return [
      x.cast("f16"),
      x.cast("bf16").mul(3),
      x.cast("f16").cast("f32").sum(1),
      x.gt(0),
      x.gt(0).where(x, x.mul(10)),
      x.mul(100).cast("i32").mod(7),
      x.abs().mul(200).cast("u8"),
    ];
  },
};
