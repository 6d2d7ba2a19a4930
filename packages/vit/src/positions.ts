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
 * How learned positions are made for another grid: bicubic with a = −0.75, as `interpolate_pos_encoding` of transformers
 * does, or antialiased with a = −0.5, as timm and OpenCLIP do.
 */
export type Interpolation = "bicubic" | "antialias";

/**
 * Learned positions of one grid of patches, for another.
 *
 * @param table [prefix + rows·columns, D]; the first `prefix` rows (class token) stay
 * @returns [prefix + rows′·columns′, D]
 */
export function resizePositions(
  table: Tensor,
  from: readonly [number, number],
  to: readonly [number, number],
  prefix: number,
  interpolation: Interpolation = "bicubic",
): Tensor {
  if (from[0] === to[0] && from[1] === to[1]) return table;
  const width = table.shape[1]!;
  const grid = table.slice([prefix]).reshape([1, from[0], from[1], width]).permute([0, 3, 1, 2]); // [1 D h w]
  const resized = (
    interpolation === "bicubic" ? resize(grid, [to[0], to[1]], { mode: "cubic" }) : antialiased(grid, to)
  )
    .permute([0, 2, 3, 1])
    .reshape([to[0] * to[1], width]);
  if (prefix === 0) return resized;
  return concat([table.slice([0, prefix]), resized]);
}

/** [1 D h w] → [1 D h′ w′] as torch's `interpolate(mode="bicubic", antialias=True)`, in f32. */
function antialiased(grid: Tensor, [h, w]: readonly [number, number]): Tensor {
  const x = grid.cast("f32");
  const rows = antialiasWeights(grid.shape[2]!, h);
  const columns = antialiasWeights(grid.shape[3]!, w);
  return rows.matmul(x).matmul(columns.transpose()).cast(grid.dtype);
}

/** What each of n samples gives to each of `out`: [out n]. Keys 1981 with a = −0.5, widened when shrinking (Pillow). */
function antialiasWeights(n: number, out: number): Tensor {
  const scale = n / out;
  const stretch = Math.max(scale, 1);
  const weights = new Float32Array(out * n);
  for (let o = 0; o < out; o++) {
    const center = scale * (o + 0.5);
    const first = Math.max(0, Math.trunc(center - 2 * stretch + 0.5));
    const end = Math.min(n, Math.trunc(center + 2 * stretch + 0.5));
    const taps = Array.from({ length: end - first }, (_, i) => keys((first + i - center + 0.5) / stretch));
    const sum = taps.reduce((a, b) => a + b, 0);
    for (const [i, tap] of taps.entries()) weights[o * n + first + i] = tap / sum;
  }
  return tensor(weights, { shape: [out, n] });
}

function keys(distance: number): number {
  const [a, d] = [-0.5, Math.abs(distance)];
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}
