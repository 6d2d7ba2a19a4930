import { concat, type Tensor } from "@vlm/core";

/**
 * What a function gives for blocks of rows, one after the other: [B …] → [B …]. Blocks do not read one another, so that
 * a plan computes them in turn and what one holds for itself is free for the next.
 *
 * @param rows [B D], cut into blocks of `chunk` rows
 * @param ofBlock gets the rows start … end − 1, and gives as many
 */
export function inBlocks(
  rows: Tensor,
  chunk: number,
  ofBlock: (block: Tensor, start: number, end: number) => Tensor,
): Tensor {
  const size = rows.shape[0]!;
  const parts: Tensor[] = [];
  for (let start = 0; start < size; start += chunk) {
    const end = Math.min(size, start + chunk);
    parts.push(ofBlock(rows.slice([start, end]), start, end));
  }
  return concat(parts);
}
