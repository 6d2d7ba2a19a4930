import { tensor } from "@vlm/core";
import { bootstrap, calibration, classification, effectiveRobustness, retrieval, zeroShotWeights } from "@vlm/eval";
import { describe, expect, it } from "vitest";

describe("bootstrap", () => {
  it("gives the mean and the interval of the normal approximation", () => {
    const values = Array.from({ length: 400 }, (_, i) => (i < 100 ? 1 : 0));
    const { value, low, high, count } = bootstrap(values);
    const half = 1.96 * Math.sqrt((0.25 * 0.75) / 400); // 0.0424
    expect(value).toBe(0.25);
    expect(count).toBe(400);
    expect(low).toBeCloseTo(0.25 - half, 2);
    expect(high).toBeCloseTo(0.25 + half, 2);
  });

  it("is the same for the same seed, another for another, and a point for equal values", () => {
    const values = [0, 1, 1, 0, 1, 0, 0];
    expect(bootstrap(values, { seed: 3 })).toEqual(bootstrap(values, { seed: 3 }));
    expect(bootstrap([1, 1, 1])).toEqual({ value: 1, low: 1, high: 1, count: 3 });
    const wide = Array.from({ length: 50 }, (_, i) => i);
    expect(bootstrap(wide, { seed: 1 }).low).not.toBe(bootstrap(wide, { seed: 2 }).low);
  });

  it("covers the truth about as often as it says", () => {
    let inside = 0;
    for (let trial = 0; trial < 200; trial++) {
      const values = Array.from({ length: 60 }, (_, i) => (Math.sin(trial * 7919 + i * 104729) * 43758.5453) % 1);
      const uniform = values.map((v) => (v < 0 ? v + 1 : v));
      const { low, high } = bootstrap(uniform, { seed: trial, samples: 200 });
      if (low <= 0.5 && 0.5 <= high) inside++;
    }
    expect(inside).toBeGreaterThan(175);
    expect(inside).toBeLessThanOrEqual(200);
  });

  it("refuses nothing to average", () => expect(() => bootstrap([])).toThrow(/BOOTSTRAP/));
});

describe("calibration", () => {
  it("weighs the bins' gaps by their counts (Guo et al. 2017, equation 3)", () => {
    // Bin (0.5, 0.6]: confidence 0.6, accuracy 0.5. Bin (0.9, 1]: confidence 0.95, accuracy 1.
    const { ece, mce, bins } = calibration([0.6, 0.6, 0.95, 0.95], [true, false, true, true], 10);
    expect(ece).toBeCloseTo(0.5 * 0.1 + 0.5 * 0.05, 12);
    expect(mce).toBeCloseTo(0.1, 12);
    expect(bins.map(({ count }) => count)).toEqual([0, 0, 0, 0, 0, 2, 0, 0, 0, 2]);
  });

  it("refuses logits", () => expect(() => calibration([3.2], [true])).toThrow(/softmax/));
});

describe("classification", () => {
  const classes = ["cat", "dog", "owl"];
  const logits = tensor([
    [5, 1, 0],
    [0, 5, 1],
    [4, 3, 0],
    [1, 0, 2],
  ]);

  it("counts right answers, per class and as a matrix", async () => {
    const result = await classification(logits, [0, 1, 1, 2], { classes });
    expect(result.top1.value).toBe(0.75);
    expect(result.top5.value).toBe(1);
    expect(result.chance).toBeCloseTo(1 / 3);
    expect(result.majority).toBe(0.5);
    expect(result.answers).toEqual([0, 1, 0, 2]);
    expect(result.confusion).toEqual([
      [1, 0, 0],
      [1, 1, 0],
      [0, 0, 1],
    ]);
    expect(result.perClass.map(({ accuracy }) => accuracy)).toEqual([1, 0.5, 1]);
    expect(result.meanPerClass).toBeCloseTo(2.5 / 3);
  });

  it("gives no credit to a model that says the same of everything", async () => {
    const { top1 } = await classification(tensor(new Float32Array(12), { shape: [4, 3] }), [0, 1, 2, 0], { classes });
    expect(top1.value).toBe(0);
  });

  it("tells top 5 from top 1", async () => {
    const names = Array.from({ length: 8 }, (_, i) => `class ${i}`);
    const { top1, top5 } = await classification(tensor([[8, 7, 6, 5, 4, 3, 2, 1]]), [4], { classes: names });
    expect([top1.value, top5.value]).toEqual([0, 1]);
    const sixth = await classification(tensor([[8, 7, 6, 5, 4, 3, 2, 1]]), [5], { classes: names });
    expect(sixth.top5.value).toBe(0);
  });

  it.each([
    ["one class", tensor([[1]]), [0], ["cat"], /no choice/],
    ["a class twice", tensor([[1, 2]]), [0], ["cat", "cat"], /twice/],
    ["an empty name", tensor([[1, 2]]), [0], ["cat", " "], /empty name/],
    ["a label out of range", logits, [0, 1, 3, 0], classes, /label 2 is 3/],
    ["too few labels", logits, [0], classes, /1 labels for 4 rows/],
    ["NaN", tensor([[Number.NaN, 1, 2]]), [0], classes, /NaN in row 0, column 0/],
    ["more columns than classes", tensor([[1, 2, 3, 4]]), [0], classes, /label 0 is 3/],
  ])("refuses %s", async (_, x, labels, names, message) => {
    await expect(classification(x, labels, { classes: names })).rejects.toThrow(message);
  });
});

describe("retrieval", () => {
  it("agrees with counting by hand, both ways", async () => {
    // Cosines of unit vectors at these angles; image 1 is nearer to text 0 than to its own.
    const at = (degrees: number): [number, number] => [
      Math.cos((degrees * Math.PI) / 180),
      Math.sin((degrees * Math.PI) / 180),
    ];
    const images = tensor([at(0), at(20), at(80)]);
    const texts = tensor([at(10), at(45), at(90)]);
    const { imageToText, textToImage } = await retrieval(images, texts, { k: [1, 2] });
    expect(imageToText.ranks).toEqual([1, 2, 1]);
    expect(textToImage.ranks).toEqual([2, 1, 1]); // image 0 and 1 are 10 degrees from text 0: a tie counts against it
    expect(imageToText.recall[1]!.value).toBeCloseTo(2 / 3);
    expect(imageToText.recall[2]!.value).toBe(1);
    expect(imageToText.chance[2]).toBeCloseTo(2 / 3);
    expect(imageToText.medianRank).toBe(1);
  });

  it("gives a collapsed model the last ranks", async () => {
    const same = tensor(new Float32Array(20).fill(1), { shape: [10, 2] });
    const { imageToText } = await retrieval(same, same);
    expect(imageToText.ranks).toEqual(Array(10).fill(10));
    expect(imageToText.recall[5]!.value).toBe(0);
    expect(imageToText.chance[5]).toBeCloseTo(0.5);
  });

  it("takes several texts per image", async () => {
    const images = tensor([
      [1, 0],
      [0, 1],
    ]);
    const texts = tensor([
      [0.1, 1],
      [1, 0.1],
      [0, 1],
    ]);
    const { imageToText, textToImage } = await retrieval(images, texts, { imageOf: [0, 0, 1], k: [1] });
    expect(imageToText.ranks).toEqual([1, 1]); // the best of the two texts counts
    expect(textToImage.ranks).toEqual([2, 1, 1]);
    expect(imageToText.chance[1]).toBeCloseTo((2 / 3 + 1 / 3) / 2);
  });

  it("refuses unequal sides, images without text and NaN", async () => {
    const [two, three] = [
      tensor(new Float32Array(4).fill(1), { shape: [2, 2] }),
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
    ];
    await expect(retrieval(two, three)).rejects.toThrow(/no pairs/);
    await expect(retrieval(two, three, { imageOf: [0, 0, 0] })).rejects.toThrow(/image 1 has no text/);
    await expect(retrieval(tensor([[Number.NaN, 1]]), tensor([[1, 1]]))).rejects.toThrow(/NaN/);
  });
});

describe("zeroShotWeights", () => {
  const encode = (texts: string[]) => tensor(texts.map((text) => [text.length, text.includes("cat") ? 10 : 1]));

  it("averages unit embeddings over the templates and makes unit length", async () => {
    const templates = [(name: string) => name, (name: string) => `the ${name}`];
    const weights = await zeroShotWeights(encode, ["cat", "ox"], templates);
    const unit = ([x, y]: number[]) => [x! / Math.hypot(x!, y!), y! / Math.hypot(x!, y!)];
    const mean = (a: number[], b: number[]) => unit([a[0]! + b[0]!, a[1]! + b[1]!]);
    const expected = [mean(unit([3, 10]), unit([7, 10])), mean(unit([2, 1]), unit([6, 1]))];
    const got = (await weights.array()) as number[][];
    for (const [i, row] of expected.entries()) for (const [j, v] of row.entries()) expect(got[i]![j]).toBeCloseTo(v, 5);
  });

  it("takes own sentences for each class", async () => {
    const sentences = new Map([
      ["cat", ["cat", "a cat"]],
      ["ox", ["an ox"]],
    ]);
    expect((await zeroShotWeights(encode, sentences)).shape).toEqual([2, 2]);
    await expect(
      zeroShotWeights(
        encode,
        new Map([
          ["cat", []],
          ["ox", ["ox"]],
        ]),
      ),
    ).rejects.toThrow(/no sentence/);
    await expect(zeroShotWeights(encode, ["cat"])).rejects.toThrow(/no choice/);
  });
});

describe("effectiveRobustness", () => {
  it("is zero on the baselines' line and the distance from it elsewhere", () => {
    const logistic = (x: number) => 1 / (1 + Math.exp(-x));
    const line = (x: number) => ({ inDistribution: logistic(x), shifted: logistic(0.8 * x - 1) });
    const baselines = [-1, 0, 0.5, 2].map(line);
    expect(effectiveRobustness(line(1), baselines).effective).toBeCloseTo(0, 10);
    const better = { ...line(1), shifted: line(1).shifted + 0.1 };
    expect(effectiveRobustness(better, baselines).effective).toBeCloseTo(0.1, 10);
  });

  it("tells only the drop without baselines", () => {
    expect(effectiveRobustness({ inDistribution: 0.8, shifted: 0.6 })).toEqual({
      drop: expect.closeTo(0.2, 12),
      kept: expect.closeTo(0.75, 12),
      expected: null,
      effective: null,
    });
    expect(() => effectiveRobustness({ inDistribution: 80, shifted: 60 })).toThrow(/0 to 1/);
  });
});
