/** How much memory losses of large batches are planned with; nothing of this size is computed. */
import { Cell, grad, random, realize, type Tensor, tensor, useDevice } from "@vlm/core";
import { describe, expect, it } from "vitest";
import { mostPlannedBytes, plannedBytes } from "../../../tools/testing/planned.ts";
import { clipLoss, gradientCache, siglipLoss } from "../src/index.ts";

const WIDTH = 512;
const MB = 1e6;

/** Bytes of temporaries for the loss of B pairs and its gradients, as a device would lay them out. */
function planned(B: number, loss: (image: Tensor, text: Tensor, t: Tensor, b: Tensor) => Tensor, buffers: number) {
  const side = (): Tensor => tensor(new Float32Array(B * WIDTH), { shape: [B, WIDTH] });
  const inputs = [side(), side(), tensor(2), tensor(-5)] as const;
  const value = loss(...inputs);
  return plannedBytes([value, ...grad(value, [...inputs])], buffers);
}

describe.each([
  ["clipLoss", (i: Tensor, t: Tensor, s: Tensor, chunk?: number) => clipLoss(i, t, s, { ...(chunk && { chunk }) })],
  [
    "siglipLoss",
    (i: Tensor, t: Tensor, s: Tensor, chunk?: number, b?: Tensor) =>
      siglipLoss(i, t, s, b ?? tensor(-5), { ...(chunk && { chunk }) }),
  ],
] as const)("%s", (_name, loss) => {
  const chunked = (i: Tensor, t: Tensor, s: Tensor, b: Tensor): Tensor => loss(i, t, s, 512, b);

  it.each([Number.POSITIVE_INFINITY, 16])(
    "of 32,768 pairs in chunks takes memory linear in the batch (%d buffers per kernel)",
    (buffers) => {
      const [half, whole] = [planned(16_384, chunked, buffers), planned(32_768, chunked, buffers)];
      expect(whole / half).toBeLessThan(2.6);
      // One matrix of logits would be 4,295 MB; the embeddings of both sides are 134 MB.
      expect(whole).toBeLessThan(700 * MB);
    },
  );

  it("without chunks holds the matrix of logits", () => {
    expect(planned(4096, (i, t, s, b) => loss(i, t, s, undefined, b), Number.POSITIVE_INFINITY)).toBeGreaterThan(
      4096 ** 2 * 4,
    );
  });
});

describe("gradientCache", () => {
  it("holds one piece's activations, however large the batch", async () => {
    await useDevice("wasm");
    const [width, hidden, embed, piece] = [8, 2048, 4, 4];
    const weights = [
      new Cell(random.normal(random.key(0), [width, hidden])),
      new Cell(random.normal(random.key(1), [hidden, embed])),
      new Cell(tensor(1)),
    ] as const;
    const encode = (x: Tensor): Tensor => x.matmul(weights[0].value).gelu().matmul(weights[1].value);
    const loss = (x: Tensor, y: Tensor): Tensor => clipLoss(x, y, weights[2].value, { chunk: piece });
    const side = (seed: number, B: number): Tensor => random.normal(random.key(seed), [B, width]);
    const cached = (B: number): Promise<number> =>
      mostPlannedBytes(async () => {
        const [x, y] = [side(2, B), side(3, B)];
        await realize(x, y);
        await gradientCache({
          pieces: Array.from({ length: B / piece }, (_, i) => [i * piece, (i + 1) * piece] as const),
          encode: ([from, to]) => [encode(x.slice([from, to])), encode(y.slice([from, to]))],
          loss,
          model: { trainable: () => weights },
        });
      });
    const whole = (B: number): Promise<number> =>
      mostPlannedBytes(async () => {
        const value = loss(encode(side(2, B)), encode(side(3, B)));
        await realize(value, ...grad(value, [...weights]));
      });
    const [small, large, all] = [await cached(16), await cached(32), await whole(32)];
    expect(large).toBe(small);
    expect(all).toBeGreaterThan(5 * large);
  });
});
