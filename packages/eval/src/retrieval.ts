import { l2Normalize, type Tensor, VlmError } from "@vlm/core";
import { type BootstrapOptions, bootstrap, type Estimate } from "./bootstrap.ts";
import { checkLabels, readRows } from "./checks.ts";

/** Retrieval in one direction. */
export type Direction = {
  /** Share of queries whose right item is among the first k, by k. */
  recall: Record<number, Estimate>;
  /** The same of a random order, by k. */
  chance: Record<number, number>;
  /** Rank of the best right item, 1 for the first: its middle over the queries. */
  medianRank: number;
  /** Rank of the best right item of each query, 1 for the first. */
  ranks: number[];
  candidates: number;
};

/** Texts found by image and images found by text. */
export type Retrieval = { imageToText: Direction; textToImage: Direction };

/** Options of `retrieval`. */
export type RetrievalOptions = {
  /** Image of each text, where there are several per image. Default: text i belongs to image i. */
  imageOf?: readonly number[];
  /** Default [1, 5, 10]. */
  k?: readonly number[];
  bootstrap?: BootstrapOptions;
};

/**
 * Image-to-text and text-to-image recall at k by cosine (Karpathy & Fei-Fei 2015): a query counts when one of its right
 * items is among the k most similar. Equal similarities count against it.
 *
 * @param images [N D], of any length
 * @param texts [M D], of any length
 */
export async function retrieval(images: Tensor, texts: Tensor, options: RetrievalOptions = {}): Promise<Retrieval> {
  const [n, m] = [images.shape[0] ?? 0, texts.shape[0] ?? 0];
  if (options.imageOf === undefined && n !== m) {
    throw new VlmError("ShapeError", "RETRIEVAL_PAIRS", {
      what: `retrieval: ${n} images and ${m} texts are no pairs: [${images.shape.join(" ")}], [${texts.shape.join(" ")}]`,
      hint: "with several texts per image pass { imageOf: for each text the number of its image }",
    });
  }
  const imageOf = options.imageOf ?? Array.from({ length: m }, (_, i) => i);
  checkLabels("retrieval", imageOf, m, n);
  await readRows("retrieval", "images", images);
  await readRows("retrieval", "texts", texts);
  const cosines = l2Normalize(images).matmul(l2Normalize(texts).transpose()); // [N M]
  const { data } = await readRows("retrieval", "similarities", cosines);
  const textsOf: number[][] = Array.from({ length: n }, () => []);
  for (const [text, image] of imageOf.entries()) textsOf[image]!.push(text);
  const lonely = textsOf.findIndex((own) => own.length === 0);
  if (lonely >= 0) {
    throw new VlmError("ArgumentError", "RETRIEVAL_LONELY", {
      what: `retrieval: image ${lonely} has no text`,
      hint: "leave it out of the images",
    });
  }
  const row = Float32Array.from({ length: Math.max(n, m) });
  const byImage = textsOf.map((right, image) => {
    for (let text = 0; text < m; text++) row[text] = data[image * m + text]!;
    return bestRank(row.subarray(0, m), right);
  });
  const byText = imageOf.map((right, text) => {
    for (let image = 0; image < n; image++) row[image] = data[image * m + text]!;
    return bestRank(row.subarray(0, n), [right]);
  });
  const rights = textsOf.map((own) => own.length);
  const ones = imageOf.map(() => 1);
  return {
    imageToText: direction(byImage, rights, m, options),
    textToImage: direction(byText, ones, n, options),
  };
}

/** Rank of the highest right item among the wrong ones. */
function bestRank(row: Float32Array, right: readonly number[]): number {
  const best = Math.max(...right.map((at) => row[at]!));
  const wrong = new Set(right);
  let rank = 1;
  for (let i = 0; i < row.length; i++) if (row[i]! >= best && !wrong.has(i)) rank++;
  return rank;
}

function direction(
  ranks: number[],
  rights: readonly number[],
  candidates: number,
  { k: ks = [1, 5, 10], bootstrap: options }: RetrievalOptions,
): Direction {
  const recall: Record<number, Estimate> = {};
  const chance: Record<number, number> = {};
  for (const k of ks) {
    if (!Number.isInteger(k) || k < 1) {
      throw new VlmError("ArgumentError", "RETRIEVAL_K", {
        what: `retrieval: k is ${k}`,
        hint: "k is a whole number, at least 1",
      });
    }
    recall[k] = bootstrap(
      ranks.map((rank) => (rank <= k ? 1 : 0)),
      options,
    );
    chance[k] = rights.reduce((sum, count) => sum + chanceOf(count, candidates, k), 0) / rights.length;
  }
  const sorted = [...ranks].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const medianRank = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { recall, chance, medianRank, ranks, candidates };
}

/** Probability that k of `candidates`, drawn at random, hold at least one of `right`. */
function chanceOf(right: number, candidates: number, k: number): number {
  let none = 1;
  for (let i = 0; i < Math.min(k, candidates); i++) none *= Math.max(0, candidates - right - i) / (candidates - i);
  return 1 - none;
}
