import { add, type Cell, type Gradients, type Tensor, zeros } from "@vlm/core";

/** √Σ g² over all gradients, f32 []. */
export function globalNorm(gradients: Gradients): Tensor {
  const squares = [...gradients.values()].map((gradient) => gradient.cast("f32").square().sum());
  return squares.length === 0 ? zeros([]) : squares.reduce((a, b) => add(a, b)).sqrt();
}

/**
 * Gradients times min(1, limit / norm), so that their global norm is at most `limit` (Pascanu et al. 2013), and the
 * norm before. As in PyTorch, 1e-6 is added to the norm.
 */
export function clipByGlobalNorm(
  gradients: Gradients,
  limit: number,
  norm: Tensor = globalNorm(gradients),
): { gradients: Gradients; norm: Tensor } {
  const factor = norm.add(1e-6).reciprocal().mul(limit).minimum(1);
  const clipped = new Map<Cell, Tensor>();
  for (const [cell, gradient] of gradients) clipped.set(cell, gradient.mul(factor.cast(gradient.dtype)));
  return { gradients: clipped, norm };
}
