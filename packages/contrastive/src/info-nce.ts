import { iota, type Tensor, VlmError } from "@vlm/core";
import { checkPairs, checkSides, checkTemperature, normalize } from "./embeddings.ts";

/** Options of `infoNCE`. */
export type InfoNceOptions = {
  /** τ. Default 0.07. */
  temperature?: number;
  /** More wrong answers for every query: [M D] shared by all. */
  negatives?: Tensor;
};

/**
 * InfoNCE (van den Oord et al. 2018, equation 4): pick the own key among all keys of the batch.
 *
 *   ℓ = −1/B Σᵢ log( exp(⟨qᵢ, kᵢ⟩/τ) / Σⱼ exp(⟨qᵢ, kⱼ⟩/τ) )
 *
 * log B − ℓ is a lower bound on the mutual information of queries and keys.
 *
 * @param query [B D], normalised here
 * @param key [B D], normalised here
 * @returns the loss in nats, []
 */
export function infoNCE(query: Tensor, key: Tensor, options: InfoNceOptions = {}): Tensor {
  checkPairs("infoNCE", query, key);
  const { temperature = 0.07, negatives } = options;
  checkTemperature("infoNCE", temperature);
  const [q, k] = [normalize(query), normalize(key)];
  const matching = q.mul(k).sum(-1).div(temperature); // [B]
  const among = q.matmul(k.transpose()).div(temperature).logsumexp(-1); // [B]
  if (!negatives) return among.sub(matching).mean();
  checkSides("infoNCE", query, negatives);
  const others = q.matmul(normalize(negatives).transpose()).div(temperature).logsumexp(-1);
  const larger = among.maximum(others);
  const both = among.sub(larger).exp().add(others.sub(larger).exp()).log().add(larger); // log(eᵃ + eᵇ)
  return both.sub(matching).mean();
}

/**
 * NT-Xent, the loss of SimCLR (Chen et al. 2020, equation 1), averaged over all 2B views: each view must pick the other
 * view of the same image among the 2B − 1 others.
 *
 * @param first [B D] projections of one view of each image, normalised here
 * @param second [B D] projections of the other view
 * @param temperature τ; 0.1 for ImageNet, 0.5 for CIFAR in the paper
 * @returns the loss in nats, []
 */
export function ntXent(first: Tensor, second: Tensor, temperature = 0.5): Tensor {
  checkPairs("ntXent", first, second);
  checkTemperature("ntXent", temperature);
  const [a, b] = [normalize(first), normalize(second)];
  const batch = a.shape[0]!;
  const row = iota(batch);
  const self = row.reshape([-1, 1]).eq(row); // a view is no candidate for itself
  const score = (x: Tensor, y: Tensor): Tensor => x.matmul(y.transpose()).div(temperature); // [B B]
  const across = score(a, b);
  const matching = a.mul(b).sum(-1).div(temperature); // [B]
  const side = (within: Tensor, between: Tensor): Tensor => {
    const w = self.where(-1e30, within);
    const greatest = w.max(-1, { keepDims: true }).maximum(between.max(-1, { keepDims: true }));
    const sum = w.sub(greatest).exp().sum(-1).add(between.sub(greatest).exp().sum(-1));
    return sum.log().add(greatest.reshape([-1])); // [B]
  };
  const total = side(score(a, a), across).add(side(score(b, b), across.transpose()));
  return total.mean().mul(0.5).sub(matching.mean());
}

/**
 * Binary noise-contrastive estimation (Gutmann & Hyvärinen 2010, equation 3; with k noise samples per datum, Mnih & Teh
 * 2012): tell data from noise by the log-ratio of the model's density to k times the noise density.
 *
 *   ℓ = −E_data[log σ(s(x) − log(k·pₙ(x)))] − k·E_noise[log(1 − σ(s(x) − log(k·pₙ(x))))]
 *
 * @param data [B] unnormalised log-density of the model at data points
 * @param noise [B·k] at noise samples
 * @param logNoiseAtData [B] log pₙ at the data points
 * @param logNoiseAtNoise [B·k] log pₙ at the noise samples
 * @returns the loss in nats per data point, []
 * Throws `ShapeError NOISE_RATIO` unless there are k ≥ 1 samples per data point, `NOISE_SHAPE` where a density is missing.
 */
export function binaryNCE(data: Tensor, noise: Tensor, logNoiseAtData: Tensor, logNoiseAtNoise: Tensor): Tensor {
  const k = noise.size / data.size;
  if (data.size === 0 || !Number.isInteger(k) || k === 0) {
    throw new VlmError("ShapeError", "NOISE_RATIO", {
      what: `binaryNCE: ${noise.size} noise samples for ${data.size} data points`,
      hint: "draw a whole number k ≥ 1 of noise samples for each data point",
      details: { data: data.shape, noise: noise.shape },
    });
  }
  for (const [what, x, logNoise] of [
    ["data", data, logNoiseAtData],
    ["noise", noise, logNoiseAtNoise],
  ] as const) {
    if (x.shape.join() === logNoise.shape.join()) continue;
    throw new VlmError("ShapeError", "NOISE_SHAPE", {
      what: `binaryNCE: densities of the ${what} are [${x.shape.join(" ")}], the noise's there [${logNoise.shape.join(" ")}]`,
      hint: "give log pₙ at each point, in the same shape",
      details: { density: x.shape, noise: logNoise.shape },
    });
  }
  const dataLogit = data.sub(logNoiseAtData).sub(Math.log(k));
  const noiseLogit = noise.sub(logNoiseAtNoise).sub(Math.log(k));
  return dataLogit.neg().softplus().mean().add(noiseLogit.softplus().mean().mul(k));
}
