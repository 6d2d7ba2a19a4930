import { checkpoint, type Tensor } from "@vlm/core";

/**
 * `rowLoss` over blocks of rows, summed. Each block's values are computed again in the backward pass instead of being
 * kept, so memory grows with chunk × batch rather than with batch².
 *
 * @param rows [B D], cut into blocks of `chunk` rows
 * @param rowLoss scalar loss of the rows start … start + n − 1
 */
export function sumOverChunks(
  rows: Tensor,
  chunk: number | undefined,
  rowLoss: (block: Tensor, start: number) => Tensor,
): Tensor {
  const size = rows.shape[0]!;
  if (chunk === undefined || chunk >= size) return rowLoss(rows, 0);
  let total: Tensor | null = null;
  for (let start = 0; start < size; start += chunk) {
    const block = rows.slice([start, Math.min(size, start + chunk)]);
    const part = checkpoint((x) => rowLoss(x, start))(block);
    total = total ? total.add(part) : part;
  }
  return total!;
}
