/** Tile shapes of matrix products, and the choice among them. */

/** A workgroup computes bm × bn outputs, bk terms of the sum at a time; a thread computes tm × tn of them. */
export type Tile = { name: string; bm: number; bn: number; bk: number; tm: number; tn: number };

export const TILES = {
  large: { name: "large", bm: 128, bn: 128, bk: 8, tm: 8, tn: 8 },
  medium: { name: "medium", bm: 64, bn: 64, bk: 16, tm: 8, tn: 8 },
  tall: { name: "tall", bm: 64, bn: 64, bk: 16, tm: 16, tn: 8 },
  small: { name: "small", bm: 32, bn: 32, bk: 16, tm: 4, tn: 4 },
} as const satisfies Record<string, Tile>;

export type ProductShape = { batch: number; rows: number; columns: number; sum: number };

const tilesFor = ({ batch, rows, columns }: ProductShape, tile: Tile): number =>
  batch * Math.ceil(rows / tile.bm) * Math.ceil(columns / tile.bn);

/** Fraction of a tile grid's outputs that exist. */
const filled = (shape: ProductShape, tile: Tile): number =>
  (shape.batch * shape.rows * shape.columns) / (tilesFor(shape, tile) * tile.bm * tile.bn);

/** Small tiles where big ones would be mostly padding or too few to fill a device. */
export function chooseTile(shape: ProductShape, big: Tile): Tile {
  const candidates = big === TILES.large ? [TILES.large, TILES.medium] : [big];
  for (const tile of candidates) {
    const enough = tile === TILES.large ? 96 : 16;
    if (tilesFor(shape, tile) >= enough && filled(shape, tile) > 0.7 * filled(shape, TILES.small)) return tile;
  }
  const { batch, rows, columns } = shape;
  if (batch * rows * columns >= 96 * 96 && filled(shape, big) > 0.8 && big !== TILES.large) return big;
  return TILES.small;
}

/**
 * In how many parts to cut the sum when there are few tiles and the sum is long. It depends on the shape only, not on
 * the tile that was fastest this time: parts decide the order of additions, and a run that is resumed must go on bit for
 * bit. (Within a part every tile adds in the order of the sum.)
 */
export function chooseParts(shape: ProductShape): number {
  const tiles = tilesFor(shape, TILES.medium);
  if (tiles >= 64 || shape.sum < 1024) return 1;
  return Math.max(1, Math.min(Math.ceil(128 / tiles), Math.floor(shape.sum / 256), 16));
}
