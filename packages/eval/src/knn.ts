import { l2Normalize, type Tensor, tensor, VlmError } from "@vlm/core";
import { checkLabels, readRows } from "./checks.ts";
import { type Classification, type ClassificationOptions, classification } from "./classification.ts";

/** Features with their labels. */
export type Labelled = { features: Tensor; labels: readonly number[] };

/** Options of the nearest neighbours' vote. */
export type KnnOptions = ClassificationOptions & {
  /** Neighbours that vote. Default 20. */
  k?: number;
  /** Votes weigh exp(cosine / temperature). Default 0.07. */
  temperature?: number;
};

/**
 * Weighted k-nearest-neighbour classification of frozen features (Wu et al. 2018, section 3.4): each of the k most
 * similar training features votes for its class with exp(cosine / τ).
 *
 * @param train features [N D]
 * @param test features [M D]
 */
export async function knn(train: Labelled, test: Labelled, options: KnnOptions): Promise<Classification> {
  const { k = 20, temperature = 0.07, classes } = options;
  const { rows } = await readRows("knn", "training features", train.features);
  await readRows("knn", "test features", test.features);
  checkLabels("knn", train.labels, rows, classes.length);
  if (!Number.isInteger(k) || k < 1 || !(temperature > 0)) {
    throw new VlmError("ArgumentError", "KNN", {
      what: `knn: k is ${k}, temperature ${temperature}`,
      hint: "k is a whole number, at least 1, and the temperature is above 0",
    });
  }
  const cosines = l2Normalize(test.features).matmul(l2Normalize(train.features).transpose()); // [M N]
  const similar = await readRows("knn", "similarities", cosines);
  const votes = new Float32Array(similar.rows * classes.length);
  for (let i = 0; i < similar.rows; i++) {
    const row = similar.data.subarray(i * rows, (i + 1) * rows);
    const nearest = Array.from(row.keys())
      .sort((a, b) => row[b]! - row[a]!)
      .slice(0, k);
    for (const at of nearest) {
      votes[i * classes.length + train.labels[at]!]! += Math.exp((row[at]! - 1) / temperature);
    }
    for (let c = 0; c < classes.length; c++) {
      // Logs of the votes, so that their softmax is the votes' share; classes without a vote get a very small one.
      votes[i * classes.length + c] = Math.log(votes[i * classes.length + c]! + 1e-30);
    }
  }
  return classification(tensor(votes, { shape: [similar.rows, classes.length] }), test.labels, options);
}
