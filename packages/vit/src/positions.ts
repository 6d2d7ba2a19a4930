import { concat, resize, type Tensor, tensor, VlmError } from "@vlm/core";

/**
 * The fixed table of MAE, I-JEPA and Qwen-VL: sines and cosines of column and row. The first half of the channels
 * encodes the column, the second the row; each half is [sin(p·ω) | cos(p·ω)] with ωₖ = 10000^(−4k/D).
 *
 * @param grid rows and columns of patches
 * @param width D, a multiple of 4
 * @returns [rows·columns D], row-major
 */
export function sinCosPositions(grid: readonly [number, number], width: number): Tensor {
  if (width % 4 !== 0) {
    throw new VlmError("ArgumentError", "SINCOS_WIDTH", {
      what: `sinCosPositions: width ${width} is no multiple of 4`,
      hint: "each position is a sine and a cosine for row and column",
    });
  }
  const [rows, columns] = grid;
  const quarter = width / 4;
  const table = new Float32Array(rows * columns * width);
  for (let n = 0; n < rows * columns; n++) {
    const place = [n % columns, Math.floor(n / columns)];
    for (let half = 0; half < 2; half++) {
      for (let k = 0; k < quarter; k++) {
        const angle = place[half]! / 10000 ** (k / quarter);
        const at = n * width + half * 2 * quarter + k;
        table[at] = Math.sin(angle);
        table[at + quarter] = Math.cos(angle);
      }
    }
  }
  return tensor(table, { shape: [rows * columns, width] });
}

/**
 * Learned positions of one grid of patches, for another: bicubic, as `interpolate_pos_encoding` of transformers does.
 *
 * @param table [prefix + rows·columns, D]; the first `prefix` rows (class token) stay
 * @returns [prefix + rows′·columns′, D]
 */
export function resizePositions(
  table: Tensor,
  from: readonly [number, number],
  to: readonly [number, number],
  prefix: number,
): Tensor {
  if (from[0] === to[0] && from[1] === to[1]) return table;
  const width = table.shape[1]!;
  const grid = table.slice([prefix]).reshape([1, from[0], from[1], width]).permute([0, 3, 1, 2]); // [1 D h w]
  const resized = resize(grid, [to[0], to[1]], { mode: "cubic" })
    .permute([0, 2, 3, 1])
    .reshape([to[0] * to[1], width]);
  if (prefix === 0) return resized;
  return concat([table.slice([0, prefix]), resized]);
}
