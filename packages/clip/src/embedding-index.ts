import { l2Normalize, type Tensor, VlmError } from "@vlm/core";

/** How many results a search gives. */
export type SearchOptions = {
  /** How many to find. Default 10. */
  k?: number;
};

/** An item found, and the cosine of its embedding and the query's. */
export type Hit<T> = { readonly item: T; readonly index: number; readonly score: number };

/** Items by the embeddings of their images or texts, to be searched by either. */
export class EmbeddingIndex<T> {
  readonly items: readonly T[];
  /** Unit vectors, [N E]. */
  readonly embeddings: Tensor;

  /**
   * @param embeddings [N E], normalised here; row i belongs to item i
   * Throws `ShapeError INDEX_SHAPE` unless there is a row for each item.
   */
  constructor(embeddings: Tensor, items: readonly T[]) {
    if (embeddings.rank !== 2 || embeddings.shape[0] !== items.length || items.length === 0) {
      throw new VlmError("ShapeError", "INDEX_SHAPE", {
        what: `EmbeddingIndex: ${items.length} items and embeddings [${embeddings.shape.join(" ")}]`,
        hint: "give one row [E] for each item, and at least one item",
        details: { items: items.length, shape: embeddings.shape },
      });
    }
    this.items = [...items];
    this.embeddings = l2Normalize(embeddings);
  }

  get size(): number {
    return this.items.length;
  }

  /**
   * The nearest items of each query, nearest first: queries [Q E] or [E] → Q lists.
   * Throws `ArgumentError SEARCH_K`, `ShapeError SEARCH_WIDTH`, `NonFiniteError SEARCH_NON_FINITE`.
   */
  async search(queries: Tensor, { k = 10 }: SearchOptions = {}): Promise<Hit<T>[][]> {
    if (!Number.isInteger(k) || k < 1) {
      throw new VlmError("ArgumentError", "SEARCH_K", {
        what: `search: k is ${k}`,
        hint: "ask for a whole number of at least 1",
      });
    }
    const rows = queries.rank === 1 ? queries.reshape([1, -1]) : queries;
    const E = this.embeddings.shape[1]!;
    if (rows.rank !== 2 || rows.shape[1] !== E) {
      throw new VlmError("ShapeError", "SEARCH_WIDTH", {
        what: `search: queries are [${queries.shape.join(" ")}], the index has embeddings of width ${E}`,
        hint: "embed the query with the model that embedded the items",
        details: { queries: queries.shape, width: E },
      });
    }
    const scores = await l2Normalize(rows).matmul(this.embeddings.transpose()).data(); // [Q N]
    const bad = scores.findIndex((score) => !Number.isFinite(score));
    if (bad >= 0) {
      const [query, item] = [Math.floor(bad / this.size), bad % this.size];
      throw new VlmError("NonFiniteError", "SEARCH_NON_FINITE", {
        what: `search: query ${query} and item ${item} are ${scores[bad]} alike: an embedding has NaN or infinities`,
        hint: "leave out what could not be embedded, or see why: tap(model, x)",
        details: { query, item },
      });
    }
    return Array.from({ length: rows.shape[0]! }, (_, q) => {
      const row = Array.from({ length: this.size }, (_, i) => scores[q * this.size + i]!);
      return greatest(row, k).map((index) => ({ item: this.items[index]!, index, score: row[index]! }));
    });
  }
}

/** Places of the k greatest numbers, greatest first; of equal ones the first counts. A heap with the least on top. */
function greatest(scores: readonly number[], k: number): number[] {
  const after = (a: number, b: number): boolean => scores[a]! < scores[b]! || (scores[a] === scores[b] && a > b);
  const heap: number[] = [];
  const sink = (from: number): void => {
    for (let i = from; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (left < heap.length && after(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && after(heap[right]!, heap[least]!)) least = right;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  };
  for (let i = 0; i < scores.length; i++) {
    if (heap.length < k) {
      heap.push(i);
      for (let at = heap.length - 1; at > 0; ) {
        const parent = (at - 1) >> 1;
        if (!after(heap[at]!, heap[parent]!)) break;
        [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
        at = parent;
      }
    } else if (after(heap[0]!, i)) {
      heap[0] = i;
      sink(0);
    }
  }
  return heap.sort((a, b) => (after(a, b) ? 1 : -1));
}
