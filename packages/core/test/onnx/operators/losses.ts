import type { Tensor } from "../../../src/index.ts";
import * as vlm from "../../../src/index.ts";
import type { Call, Operators } from "../adapter.ts";

/** −w[t]·x[t] over the class axis 1, reduced; the mean divides by the weights that count. */
function negativeLogLikelihood(call: Call, logs: Tensor): Tensor {
  const target = call.x(1);
  const classes = logs.shape[1]!;
  const weights = call.optional(2) ?? vlm.ones([classes]);
  const ignored = call.has("ignore_index")
    ? target.eq(call.number("ignore_index", 0))
    : vlm.fill(0, target.shape, "bool");
  const known = ignored.where(0, target);
  const w = ignored.where(0, weights.cast("f32").take(known));
  const picked = logs.gather(vlm.unsqueeze(known, 1), 1).squeeze(1).cast("f32");
  const loss = picked.mul(w).neg();
  const reduction = call.text("reduction", "mean");
  if (reduction === "none") return loss.cast(logs.dtype);
  const sum = loss.sum();
  return (reduction === "sum" ? sum : sum.div(w.sum())).cast(logs.dtype);
}

/** Without weights this is core's crossEntropy; with them, its parts. */
function softmaxCrossEntropy(call: Call): Tensor[] {
  const x = call.x(0);
  const logs = vlm.logSoftmax(x, 1);
  if (call.optional(2)) return [negativeLogLikelihood(call, logs), logs];
  const loss = vlm.crossEntropy(x, call.x(1), {
    axis: 1,
    ignoreIndex: call.number("ignore_index", -100),
    reduction: call.text("reduction", "mean") as "mean" | "sum" | "none",
  });
  return [loss.cast(x.dtype), logs];
}

export const losses: Operators = {
  NegativeLogLikelihoodLoss: (call) => negativeLogLikelihood(call, call.x(0)),
  SoftmaxCrossEntropyLoss: softmaxCrossEntropy,
};
