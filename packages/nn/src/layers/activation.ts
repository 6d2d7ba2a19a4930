import { gelu, relu, silu, type Tensor } from "@vlm/core";

/**
 * "gelu" is by erf (BERT, MAE, LAION's CLIP), "gelu-tanh" its approximation (GPT-2, SigLIP), "quick-gelu" x·σ(1.702x)
 * (OpenAI's CLIP): the three give different models.
 */
export type Activation = "relu" | "gelu" | "gelu-tanh" | "quick-gelu" | "silu" | ((x: Tensor) => Tensor);

/** The activation's value for each element. */
export function activate(x: Tensor, activation: Activation): Tensor {
  if (typeof activation === "function") return activation(x);
  switch (activation) {
    case "relu":
      return relu(x);
    case "gelu":
      return gelu(x);
    case "gelu-tanh":
      return gelu(x, "tanh");
    case "quick-gelu":
      return gelu(x, "quick");
    case "silu":
      return silu(x);
  }
}
