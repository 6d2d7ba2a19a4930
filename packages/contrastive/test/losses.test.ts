import { readFileSync } from "node:fs";
import { Cell, grad, type Tensor, tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices } from "../../../tools/testing/parity.ts";
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

function close(got: ArrayLike<number>, want: readonly number[], tolerance = 2e-5): void {
  expect(got.length).toBe(want.length);
  const scale = Math.max(1e-3, ...want.map(Math.abs));
  want.forEach((w, i) => {
    if (!(Math.abs(got[i]! - w) <= tolerance * scale)) expect(`${i}: ${got[i]}`).toBe(String(w));
  });
}

describe.each(parityDevices)("losses and gradients equal PyTorch's and open_clip's on %s", (device) => {
  beforeAll(() => useDevice(device));
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

describe.each(parityDevices)("large batches in pieces on %s", (device) => {
  beforeAll(() => useDevice(device));
  it.each([1, 2, 4, 5])("chunks of %d rows give the same loss and gradients", async (chunk) => {
    for (const [name, loss] of [
      ["clip", clipLoss(a, b, logScale, { chunk })],
      ["siglip", siglipLoss(a, b, logScale, bias, { chunk })],
    ] as const) {
      const want = fixture.cases[name]!;
      close(await loss.data(), [want.loss]);
      const [da, db, dt, dbias] = grad(loss, [a, b, logScale, bias]);
      close(await da.data(), want.da!.flat());
      close(await db.data(), want.db!.flat());
      close(await dt.data(), [want.dt!]);
      if (want.dbias !== undefined) close(await dbias.data(), [want.dbias]);
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

describe("the learned temperature", () => {
  const [image, text] = [tensor(fixture.a), tensor(fixture.b)];
  const mismatched = text.mul(-1);
  const gradientAt = async (t: number, y: Tensor, maxScale?: number) => {
    const at = tensor(t);
    const loss = clipLoss(image, y, at, maxScale === undefined ? {} : { maxScale });
    return { loss: await loss.item(), dt: await grad(loss, [at])[0].item() };
  };

  it("is used up to exp(t) = 100 only", async () => {
    const [cap, above] = [await gradientAt(Math.log(100), text), await gradientAt(9, text)];
    expect(above.loss).toBeCloseTo(cap.loss, 3);
    expect((await gradientAt(9, text, Number.POSITIVE_INFINITY)).loss).toBeGreaterThan(cap.loss * 10);
    expect((await gradientAt(9, text, 8)).loss).toBeCloseTo(fixture.cases.clip!.loss, 4);
  });

  it("comes back from the cap where that helps, and does not rise above it", async () => {
    // These pairs fit no better than others: a lower scale is better.
    expect((await gradientAt(9, mismatched)).dt).toBeGreaterThan(0);
    // These fit perfectly: a higher scale would be better still.
    const perfect = await gradientAt(9, image, 8);
    expect(perfect.dt).toBe(0);
    const below = await gradientAt(Math.log(7), image, 8);
    expect(below.dt).toBeLessThan(0);
  });
});

describe("half precision", () => {
  it("is computed in f32", async () => {
    const [x, y] = [a.cast("f16"), b.cast("f16")];
    const loss = clipLoss(x, y, logScale);
    expect(loss.dtype).toBe("f32");
    close(await loss.data(), [await clipLoss(x.cast("f32"), y.cast("f32"), logScale).item()]);
    expect(grad(loss, [x])[0].dtype).toBe("f16");
  });
});

describe("bad input", () => {
  const rows = (n: number, d = 5) => tensor(new Float32Array(n * d).fill(1), { shape: [n, d] });
  it.each([
    ["batches that differ", () => clipLoss(rows(2), rows(3), logScale), "BATCH_UNEQUAL"],
    ["widths that differ", () => siglipLoss(rows(2, 4), rows(2, 5), logScale, bias), "EMBED_UNEQUAL"],
    ["an empty batch", () => ntXent(rows(0), rows(0)), "BATCH_EMPTY"],
    ["tokens that were not pooled", () => clipLoss(rows(4).reshape([2, 2, 5]), rows(2), logScale), "EMBED_RANK"],
    ["ids in place of embeddings", () => clipLoss(rows(2), rows(2).cast("i32"), logScale), "EMBED_DTYPE"],
    ["two dtypes", () => siglipLoss(rows(2).cast("f16"), rows(2), logScale, bias), "EMBED_DTYPE"],
    ["integers on both sides", () => infoNCE(rows(2).cast("i32"), rows(2).cast("i32")), "EMBED_DTYPE"],
    ["a chunk of no rows", () => clipLoss(rows(2), rows(2), logScale, { chunk: 0 }), "CHUNK"],
    ["half a row in a chunk", () => siglipLoss(rows(2), rows(2), logScale, bias, { chunk: 1.5 }), "CHUNK"],
    ["negatives of another width", () => infoNCE(rows(2), rows(2), { negatives: rows(3, 4) }), "EMBED_UNEQUAL"],
    ["no negatives", () => infoNCE(rows(2), rows(2), { negatives: rows(0) }), "BATCH_EMPTY"],
    [
      "an empty batch of classes",
      () => supervisedContrastive(rows(0), tensor([], { dtype: "i32", shape: [0] })),
      "BATCH_EMPTY",
    ],
    ["texts of another width", () => multiPositiveLoss(rows(2, 4), rows(2), positives, logScale), "EMBED_UNEQUAL"],
    [
      "noise without its density",
      () => binaryNCE(tensor([1, 2]), tensor([1, 2]), tensor([0, 0]), tensor([0])),
      "NOISE_SHAPE",
    ],
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
