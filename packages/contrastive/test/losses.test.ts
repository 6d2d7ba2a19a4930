import { readFileSync } from "node:fs";
import { Cell, grad, type Tensor, tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  binaryNCE,
  clipLoss,
  gradientCache,
  infoNCE,
  multiPositiveLoss,
  ntXent,
  siglipLoss,
  supervisedContrastive,
} from "../src/index.ts";

type Case = { loss: number; da?: number[][]; db?: number[][]; dt?: number; dbias?: number };
const fixture = JSON.parse(readFileSync(new URL("fixtures/losses.json", import.meta.url), "utf8")) as {
  a: number[][];
  b: number[][];
  negatives: number[][];
  labels: number[];
  logScale: number;
  bias: number;
  positives: boolean[][];
  cases: Record<string, Case>;
};

const a = tensor(fixture.a);
const b = tensor(fixture.b);
const logScale = tensor(fixture.logScale);
const bias = tensor(fixture.bias);
const negatives = tensor(fixture.negatives);
const labels = tensor(fixture.labels, { dtype: "i32" });
const positives = tensor(fixture.positives);
const noise = b.reshape([-1]).slice([0, 12]);

const losses: Record<string, () => Tensor> = {
  clip: () => clipLoss(a, b, logScale),
  siglip: () => siglipLoss(a, b, logScale, bias),
  infoNCE: () => infoNCE(a, b, { temperature: 0.2 }),
  "infoNCE negatives": () => infoNCE(a, b, { temperature: 0.2, negatives }),
  ntXent: () => ntXent(a, b, 0.5),
  supervised: () => supervisedContrastive(a, labels, 0.1),
  multiPositive: () => multiPositiveLoss(a, b, positives, logScale),
  binaryNCE: () =>
    binaryNCE(
      a.sum(1),
      noise,
      tensor(fixture.a.map((row) => -Math.abs(row.reduce((x, y) => x + y)))),
      tensor(
        fixture.b
          .flat()
          .slice(0, 12)
          .map((x) => -Math.abs(x)),
      ),
    ),
};

beforeAll(async () => {
  await useDevice((process.env.VLM_DEVICE as "js" | undefined) ?? "wasm");
});

function close(got: ArrayLike<number>, want: readonly number[], tolerance = 2e-5): void {
  expect(got.length).toBe(want.length);
  const scale = Math.max(1e-3, ...want.map(Math.abs));
  want.forEach((w, i) => {
    if (!(Math.abs(got[i]! - w) <= tolerance * scale)) expect(`${i}: ${got[i]}`).toBe(String(w));
  });
}

describe("losses and gradients equal PyTorch's and open_clip's", () => {
  for (const [name, loss] of Object.entries(losses)) {
    it(name, async () => {
      const want = fixture.cases[name]!;
      const value = loss();
      close(await value.data(), [want.loss]);
      const gradients = grad(value, [a, b, logScale, bias]);
      for (const [i, key] of (["da", "db", "dt", "dbias"] as const).entries()) {
        const expected = want[key];
        if (expected !== undefined) close(await gradients[i]!.data(), [expected].flat(2));
      }
    });
  }
});

describe("large batches in pieces", () => {
  it.each([1, 2, 4, 5])("chunks of %d rows give the same loss and gradients", async (chunk) => {
    for (const [name, loss] of [
      ["clip", clipLoss(a, b, logScale, { chunk })],
      ["siglip", siglipLoss(a, b, logScale, bias, { chunk })],
    ] as const) {
      const want = fixture.cases[name]!;
      close(await loss.data(), [want.loss]);
      const [da, db, dt] = grad(loss, [a, b, logScale]);
      close(await da.data(), want.da!.flat());
      close(await db.data(), want.db!.flat());
      close(await dt.data(), [want.dt!]);
    }
  });

  it("gradient caching gives the gradients of the whole batch", async () => {
    const make = () => [new Cell(tensor(fixture.a.slice(0, 5))), new Cell(logScale)] as const;
    const [w, t] = make();
    const encode = (x: Tensor) => x.matmul(w.value);
    const whole = clipLoss(encode(a), encode(b), t);
    const [dw, dt] = grad(whole, [w, t]);
    const { loss, gradients } = await gradientCache({
      pieces: [
        [0, 2],
        [2, 5],
        [5, 6],
      ] as const,
      encode: ([from, to]) => [encode(a.slice([from, to])), encode(b.slice([from, to]))],
      loss: (x, y) => clipLoss(x, y, t),
      model: { trainable: () => [w, t] },
    });
    close(await loss.data(), [await whole.item()]);
    close(await gradients.get(w)!.data(), [...(await dw.data())]);
    close(await gradients.get(t)!.data(), [...(await dt.data())]);
  });
});

describe("bad input", () => {
  const rows = (n: number, d = 5) => tensor(new Float32Array(n * d).fill(1), { shape: [n, d] });
  it.each([
    ["batches that differ", () => clipLoss(rows(2), rows(3), logScale), "BATCH_UNEQUAL"],
    ["widths that differ", () => siglipLoss(rows(2, 4), rows(2, 5), logScale, bias), "EMBED_UNEQUAL"],
    ["an empty batch", () => ntXent(rows(0), rows(0)), "BATCH_EMPTY"],
    ["tokens that were not pooled", () => clipLoss(rows(4).reshape([2, 2, 5]), rows(2), logScale), "PAIRS_RANK"],
    ["a temperature of 0", () => infoNCE(rows(2), rows(2), { temperature: 0 }), "TEMPERATURE"],
    ["labels for other rows", () => supervisedContrastive(rows(2), labels), "LABELS_UNEQUAL"],
    ["positives of another shape", () => multiPositiveLoss(rows(2), rows(3), positives, logScale), "POSITIVES_SHAPE"],
    [
      "half a noise sample each",
      () => binaryNCE(tensor([1, 2]), tensor([1]), tensor([0, 0]), tensor([0])),
      "NOISE_RATIO",
    ],
  ])("%s", (_name, make, code) => {
    expect(make).toThrowError(expect.objectContaining({ code }));
  });
});
