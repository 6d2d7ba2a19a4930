type LearnOptions = {
  suffix: string;
  /** How many merges at most. */
  room: number;
  minFrequency: number;
  /** Tokens that exist already: a merge must not make one of them. */
  taken: Set<string>;
  onProgress?: ((tokens: number) => void) | undefined;
};

/**
 * The merges of BPE training: again and again the pair that occurs most often, ties by the texts of the two parts. Keeps counts per pair
 * and the words where it occurs, so that a merge only touches those.
 */
export function learnMerges(counts: ReadonlyMap<string, number>, options: LearnOptions): [string, string][] {
  // Sorted, so that the order of the texts has no influence.
  const entries = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const names: string[] = [];
  const ids = new Map<string, number>();
  const idOf = (name: string): number => {
    let id = ids.get(name);
    if (id === undefined) {
      id = names.length;
      names.push(name);
      ids.set(name, id);
    }
    return id;
  };
  const words = entries.map(([word, count]) => {
    const symbols = [...word];
    if (symbols.length) symbols[symbols.length - 1] += options.suffix;
    return { symbols: symbols.map(idOf), count };
  });
  const pairs = new PairCounts();
  words.forEach((word, w) => {
    for (let i = 0; i + 1 < word.symbols.length; i++) pairs.add(word.symbols[i]!, word.symbols[i + 1]!, word.count, w);
  });
  const queue = new PairQueue(
    (p) => names[p.left]!,
    (p) => names[p.right]!,
  );
  for (const pair of pairs.all()) queue.push(pair);
  const merges: [string, string][] = [];
  while (merges.length < options.room) {
    const best = queue.pop();
    if (!best || best.count < Math.max(1, options.minFrequency)) break;
    const name = names[best.left]! + names[best.right]!;
    if (options.taken.has(name)) {
      best.count = 0;
      continue;
    }
    options.taken.add(name);
    merges.push([names[best.left]!, names[best.right]!]);
    if (merges.length % 256 === 0) options.onProgress?.(merges.length);
    const { left, right } = best;
    const merged = idOf(name);
    const changed = new Set<Pair>();
    for (const w of best.words) {
      const word = words[w]!;
      const { symbols, count } = word;
      let kept = 0;
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right && i + 1 < symbols.length) {
          if (kept > 0) {
            changed.add(pairs.add(symbols[kept - 1]!, left, -count, w));
            changed.add(pairs.add(symbols[kept - 1]!, merged, count, w));
          }
          if (i + 2 < symbols.length) {
            changed.add(pairs.add(right, symbols[i + 2]!, -count, w));
            changed.add(pairs.add(merged, symbols[i + 2]!, count, w));
          }
          symbols[kept++] = merged;
          i++;
        } else symbols[kept++] = symbols[i]!;
      }
      symbols.length = kept;
    }
    best.count = 0;
    for (const pair of changed) if (pair.count > 0 && pair !== best) queue.push(pair);
  }
  return merges;
}

type Pair = { left: number; right: number; count: number; words: Set<number> };

class PairCounts {
  readonly #pairs = new Map<number, Pair>();

  add(left: number, right: number, count: number, word: number): Pair {
    const key = left * 0x4000000 + right;
    let pair = this.#pairs.get(key);
    if (!pair) {
      pair = { left, right, count: 0, words: new Set() };
      this.#pairs.set(key, pair);
    }
    pair.count += count;
    if (count > 0) pair.words.add(word);
    return pair;
  }

  all(): Iterable<Pair> {
    return this.#pairs.values();
  }
}

/** Max-heap of pairs; entries whose count has changed since are dropped when they come up. */
class PairQueue {
  readonly #heap: { pair: Pair; count: number }[] = [];
  readonly #left: (pair: Pair) => string;
  readonly #right: (pair: Pair) => string;

  constructor(left: (pair: Pair) => string, right: (pair: Pair) => string) {
    this.#left = left;
    this.#right = right;
  }

  #before(a: { pair: Pair; count: number }, b: { pair: Pair; count: number }): boolean {
    if (a.count !== b.count) return a.count > b.count;
    const [x, y] = [this.#left(a.pair), this.#left(b.pair)];
    return x !== y ? x < y : this.#right(a.pair) < this.#right(b.pair);
  }

  push(pair: Pair): void {
    const heap = this.#heap;
    const entry = { pair, count: pair.count };
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  pop(): Pair | undefined {
    for (;;) {
      const top = this.#take();
      if (!top) return undefined;
      if (top.pair.count === top.count && top.count > 0) return top.pair;
    }
  }

  #take(): { pair: Pair; count: number } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
