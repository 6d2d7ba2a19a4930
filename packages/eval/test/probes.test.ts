import { random, tensor } from "@vlm/core";
import { knn, type Labelled, linearProbe } from "@vlm/eval";
import { expect, it } from "vitest";

const classes = ["a", "b", "c"];

/** Points around three centres, on scales that differ by a hundred. */
async function clouds(seed: number, count: number): Promise<Labelled> {
  const noise = (await random.normal(random.key(seed), [count, 4]).data()) as Float32Array;
  const labels = Array.from({ length: count }, (_, i) => i % 3);
  const features = labels.map((label, i) => [
    (label === 0 ? 2 : 0) + noise[i * 4]!,
    (label === 1 ? 2 : 0) + noise[i * 4 + 1]!,
    100 * ((label === 2 ? 2 : 0) + noise[i * 4 + 2]!),
    5 + 0.01 * noise[i * 4 + 3]!,
  ]);
  return { features: tensor(features), labels };
}

it("finds the minimum of the penalised loss", async () => {
  const [train, test] = [await clouds(1, 240), await clouds(2, 120)];
  const l2 = 0.01;
  const probe = await linearProbe(train, test, { classes, l2, standardize: false, iterations: 3000 });
  // At the minimum the gradient, computed here in double precision, is zero.
  const [x, W, b] = [train.features, probe.weight, probe.bias];
  const [rows, weight, bias] = [
    (await x.array()) as number[][],
    (await W.array()) as number[][],
    (await b.array()) as number[],
  ];
  const gradient = weight.map((row) => row.map((w) => l2 * w));
  for (const [i, row] of rows.entries()) {
    const logits = weight.map((w, k) => w.reduce((sum, v, d) => sum + v * row[d]!, bias[k]!));
    const top = Math.max(...logits);
    const total = logits.reduce((sum, v) => sum + Math.exp(v - top), 0);
    for (const [k, logit] of logits.entries()) {
      const error = Math.exp(logit - top) / total - (train.labels[i] === k ? 1 : 0);
      for (const [d, v] of row.entries()) gradient[k]![d]! += (error * v) / rows.length;
    }
  }
  // The third feature is a hundred times larger, and so is its gradient.
  for (const row of gradient)
    for (const [d, g] of row.entries()) expect(Math.abs(g)).toBeLessThan(d === 2 ? 0.02 : 1e-3);
  expect(probe.test.top1.value).toBeGreaterThan(0.7);
});

it("does not depend on the features' scale when it standardises", async () => {
  const [train, test] = [await clouds(1, 240), await clouds(2, 120)];
  const scaled = (x: Labelled): Labelled => ({ ...x, features: x.features.mul(tensor([1, 10, 0.001, 7])).add(3) });
  const plain = await linearProbe(train, test, { classes });
  const other = await linearProbe(scaled(train), scaled(test), { classes });
  expect(plain.test.top1.value).toBeGreaterThan(0.75);
  expect(other.loss).toBeCloseTo(plain.loss, 4);
  expect(other.test.answers).toEqual(plain.test.answers);
});

it("refuses features of two widths and labels that are no class", async () => {
  const train = await clouds(1, 12);
  const other = { features: tensor([[1, 2]]), labels: [0] };
  await expect(linearProbe(train, other, { classes })).rejects.toThrow(/width 4 and 2/);
  await expect(linearProbe({ ...train, labels: train.labels.map((l) => l + 1) }, train, { classes })).rejects.toThrow(
    /label 2 is 3/,
  );
});

it("lets the nearest vote, the nearer with more weight", async () => {
  const train = {
    features: tensor([
      [1, 0],
      [0.9, 0.1],
      [0, 1],
      [0.05, 1],
      [-1, 0],
    ]),
    labels: [0, 0, 1, 1, 2],
  };
  const test = {
    features: tensor([
      [5, 0.1],
      [0.1, 3],
      [-2, -0.1],
    ]),
    labels: [0, 1, 2],
  };
  const { top1, answers } = await knn(train, test, { classes, k: 3 });
  expect(answers).toEqual([0, 1, 2]); // the third has one near and two far neighbours
  expect(top1.value).toBe(1);
  await expect(knn(train, test, { classes, k: 0 })).rejects.toThrow(/at least 1/);
});
