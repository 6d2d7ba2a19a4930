import { compile, crossEntropy, grad, type Tensor, tensor, VlmError } from "@vlm/core";
import { checkClasses, checkLabels, readRows } from "./checks.ts";
import { type Classification, type ClassificationOptions, classification } from "./classification.ts";
import type { Labelled } from "./knn.ts";
import { lbfgs } from "./lbfgs.ts";

/** Options of `linearProbe`. */
export type LinearProbeOptions = ClassificationOptions & {
  /** Strength λ of ½λ‖W‖² beside the mean cross-entropy. Default 1 / N, which is C = 1 in scikit-learn. */
  l2?: number;
  /** Default 1000, as in the paper. */
  iterations?: number;
  /** Subtract the training features' mean and divide by their standard deviation. Default true. */
  standardize?: boolean;
};

/** A trained probe and its answers. */
export type LinearProbe = {
  /** What the probe answers on the test features. */
  test: Classification;
  /** [K D] and [K]: logits are features·Wᵀ + b, of features as they were given. */
  weight: Tensor;
  bias: Tensor;
  /** Of the training features, with the penalty. */
  loss: number;
  iterations: number;
  converged: boolean;
};

/**
 * Logistic regression on frozen features by L-BFGS from zero (Radford et al. 2021, appendix A.3).
 *
 *   min over W, b:  mean CE(x·Wᵀ + b, label) + ½ λ ‖W‖²
 *
 * @param train features [N D]
 * @param test features [M D]
 */
export async function linearProbe(train: Labelled, test: Labelled, options: LinearProbeOptions): Promise<LinearProbe> {
  const { classes, iterations = 1000, standardize = true } = options;
  checkClasses("linearProbe", classes);
  const { data, rows: N, columns: D } = await readRows("linearProbe", "training features", train.features);
  const other = await readRows("linearProbe", "test features", test.features);
  const K = classes.length;
  checkLabels("linearProbe", train.labels, N, K);
  const { l2 = 1 / N } = options;
  if (other.columns !== D || !(l2 >= 0)) {
    throw new VlmError("ArgumentError", "LINEAR_PROBE", {
      what: `linearProbe: features of width ${D} and ${other.columns}, l2 is ${l2}`,
      hint: "both features come from one model, and l2 is 0 or more",
    });
  }
  const { mean, scale } = standardize
    ? moments(data, N, D)
    : { mean: new Float64Array(D), scale: new Float64Array(D).fill(1) };
  const x = tensor(
    data.map((value, i) => (value - mean[i % D]!) * scale[i % D]!),
    { shape: [N, D] },
  );
  const labels = tensor([...train.labels], { dtype: "i32" });
  const evaluate = compile((flat: Tensor, features: Tensor, targets: Tensor) => {
    const weight = flat.slice([0, K * D]).reshape([K, D]);
    const logits = features.matmul(weight.transpose()).add(flat.slice([K * D, K * D + K])); // [N K]
    const loss = crossEntropy(logits, targets).add(
      weight
        .square()
        .sum()
        .mul(l2 / 2),
    );
    return { loss, gradient: grad(loss, [flat])[0]! };
  });
  const found = await lbfgs(
    async (point) => {
      const { loss, gradient } = await evaluate(tensor(Float32Array.from(point)), x, labels);
      return { value: await loss.item(), gradient: Float64Array.from((await gradient.data()) as Float32Array) };
    },
    new Float64Array(K * D + K),
    { iterations },
  );
  // The standardisation is folded into the weights.
  const weight = new Float32Array(K * D);
  const bias = Float32Array.from(found.x.subarray(K * D));
  for (let k = 0; k < K; k++) {
    for (let d = 0; d < D; d++) {
      const w = found.x[k * D + d]! * scale[d]!;
      weight[k * D + d] = w;
      bias[k]! -= w * mean[d]!;
    }
  }
  const [W, b] = [tensor(weight, { shape: [K, D] }), tensor(bias)];
  const logits = test.features.matmul(W.transpose()).add(b);
  return {
    test: await classification(logits, test.labels, options),
    weight: W,
    bias: b,
    loss: found.value,
    iterations: found.iterations,
    converged: found.converged,
  };
}

/** Mean and reciprocal standard deviation of each column; constant columns keep their scale. */
function moments(data: Float32Array, rows: number, columns: number): { mean: Float64Array; scale: Float64Array } {
  const mean = new Float64Array(columns);
  for (let i = 0; i < data.length; i++) mean[i % columns]! += data[i]! / rows;
  const variance = new Float64Array(columns);
  for (let i = 0; i < data.length; i++) variance[i % columns]! += (data[i]! - mean[i % columns]!) ** 2 / rows;
  return { mean, scale: variance.map((v) => (v > 1e-12 ? 1 / Math.sqrt(v) : 1)) };
}
