import { Cell, type DType, fill, iota, logicalAnd, type Tensor, zeros } from "@vlm/core";

/** Sizes of a cache. */
export type KeyValueCacheConfig = {
  batch: number; // B
  /** Heads of keys and values. */
  heads: number; // K
  headWidth: number; // d
  /** Most tokens it can hold. */
  capacity: number; // C
  dtype?: Extract<DType, "f32" | "f16" | "bf16">;
};

/**
 * Keys and values of the tokens seen so far, for one attention layer. Its size is fixed, so that a compiled step serves
 * every position; it is written like any cell: by `commit`, or by the compiled function. Past `capacity` everything
 * becomes NaN rather than wrong.
 */
export class KeyValueCache {
  readonly capacity: number;
  private readonly keys: Cell; // [B K C d]
  private readonly values: Cell; // [B K C d]
  private readonly count: Cell; // i32 []

  constructor({ batch, heads, headWidth, capacity, dtype = "f32" }: KeyValueCacheConfig) {
    this.capacity = capacity;
    this.keys = new Cell(zeros([batch, heads, capacity, headWidth], dtype), { owner: "cache" });
    this.values = new Cell(zeros([batch, heads, capacity, headWidth], dtype), { owner: "cache" });
    this.count = new Cell(zeros([], "i32"), { owner: "cache" });
  }

  /** How many tokens are held, i32 []. */
  get length(): Tensor {
    return this.count.value;
  }

  /** Forgets everything. */
  reset(): void {
    this.count.assign(zeros([], "i32"));
  }

  /**
   * Adds N tokens, [B K N d] each. Gives all keys and values, [B K C d], and how many of the C slots are filled, i32 [B].
   */
  append(keys: Tensor, values: Tensor): { keys: Tensor; values: Tensor; lengths: Tensor } {
    const added = keys.shape[2]!;
    const start = this.length;
    const slot = iota(this.capacity).sub(start); // [C], counted from the first new token
    const fresh = logicalAnd(slot.ge(0), slot.lt(added)).reshape([this.capacity, 1]);
    // A matrix with one 1 in each written row moves token j to slot start + j.
    const place = slot
      .reshape([-1, 1])
      .eq(iota(added).reshape([1, -1]))
      .cast("f32"); // [C N]
    const full = start.add(added).gt(this.capacity);
    const write = (cell: Cell, now: Tensor): Tensor => {
      const moved = added === 1 ? now.expand(cell.shape) : place.matmul(now.cast("f32")).cast(cell.dtype);
      const next = full.where(fill(Number.NaN, [], cell.dtype), fresh.where(moved.cast(cell.dtype), cell.value));
      cell.assign(next);
      return next;
    };
    const all = { keys: write(this.keys, keys), values: write(this.values, values) };
    const length = start.add(added);
    this.count.assign(length);
    return { ...all, lengths: length.expand([keys.shape[0]!]) };
  }
}
