import { customGradient, type Tensor } from "@vlm/core";

/**
 * min(exp(t), maxScale), with a gradient of t at the cap that lets it fall and not rise: a plain minimum has none there,
 * so that t would stay for good once a step carried it over.
 */
export function cappedScale(t: Tensor, maxScale: number): Tensor {
  if (!Number.isFinite(maxScale)) return t.exp();
  const cap = Math.log(maxScale);
  const capped = customGradient(
    (x) => x!.minimum(cap),
    (dy, [x]) => [x!.ge(cap).where(dy.maximum(0), dy)],
  );
  return capped(t).exp();
}
