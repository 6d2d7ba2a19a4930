import {
  type Cell,
  type CellGroup,
  concat,
  type Gradients,
  grad,
  pullback,
  realize,
  stopGradient,
  type Tensor,
  VlmError,
} from "@vlm/core";

/** What `gradientCache` cuts, embeds and compares. */
export type GradientCacheOptions<B> = {
  /** The batch in pieces that fit in memory one at a time. */
  pieces: readonly B[];
  /** Embeddings of a piece: one tensor [n D] per tower, the same number for every piece. */
  encode: (piece: B) => readonly Tensor[];
  /** Loss of the whole batch's embeddings, one tensor [B D] per tower, and of scalars such as the temperature. */
  loss: (...embeddings: Tensor[]) => Tensor;
  model: CellGroup;
};

/**
 * The exact gradient of a contrastive loss over a batch too large for memory (GradCache, Gao et al. 2021, section 3):
 * embed all pieces without keeping activations, take the loss's gradient for the embeddings, then embed each piece
 * again and push its share of that gradient through. Memory: one piece's activations plus all embeddings.
 *
 * @returns the loss [], and a gradient per trainable parameter for an optimiser's step
 */
export async function gradientCache<B>(
  options: GradientCacheOptions<B>,
): Promise<{ loss: Tensor; gradients: Gradients }> {
  const { pieces, encode, loss: lossOf, model } = options;
  if (pieces.length === 0) {
    throw new VlmError("ArgumentError", "PIECES_EMPTY", {
      what: "gradientCache: there are no pieces",
      hint: "cut the batch into at least one",
    });
  }
  const cells: Cell[] = [...model.trainable()];
  const embedded: Tensor[][] = [];
  for (const piece of pieces) {
    const parts = encode(piece).map(stopGradient);
    await realize(...parts);
    embedded.push(parts);
  }
  const towers = embedded[0]!.map((_, tower) => concat(embedded.map((parts) => parts[tower]!)));
  await realize(...towers);
  const loss = lossOf(...towers);
  const direct = grad(loss, [...towers, ...cells]);
  const cached = direct.slice(0, towers.length);
  let sums = direct.slice(towers.length);
  await realize(loss, ...cached, ...sums);
  const starts = towers.map(() => 0);
  for (const [i, piece] of pieces.entries()) {
    const dy = cached.map((gradient, tower) => {
      const rows = embedded[i]![tower]!.shape[0]!;
      const from = starts[tower]!;
      starts[tower] = from + rows;
      return gradient.slice([from, from + rows]);
    });
    const values = cells.map((cell) => cell.value);
    const parts = pullback(encode(piece), dy, values);
    const next = sums.map((sum, k) => sum.add(parts[k]!));
    await realize(...next);
    for (const sum of sums) sum.dispose();
    sums = next;
  }
  return { loss, gradients: new Map(cells.map((cell, k) => [cell, sums[k]!])) };
}
