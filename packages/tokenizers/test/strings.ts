import { readFileSync } from "node:fs";

type Pools = Record<"words" | "code" | "symbols" | "space" | "combining" | "special", string[]> & {
  ranges: [number, number][];
};

const pools = JSON.parse(readFileSync(new URL("../fixtures/pools.json", import.meta.url), "utf8")) as Pools;

/** The generator of tools/reference/tokenizers_strings.py, number for number. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(((this.#state >>> 8) * n) / 0x1000000);
  }
}

/** Strings made of words of many scripts, code, symbols, random characters, whitespace, combining marks and special tokens. */
export function strings(seed: number, count: number): string[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => make(random));
}

function make(r: Random): string {
  let out = "";
  const pick = <T>(items: readonly T[]): T => items[r.below(items.length)]!;
  const atoms = 1 + r.below(10);
  for (let k = 0; k < atoms; k++) {
    const kind = r.below(16);
    if (kind < 5) out += pick(pools.words);
    else if (kind < 7) out += pick(pools.code);
    else if (kind < 9) out += pick(pools.symbols);
    else if (kind < 11) {
      const [a, b] = pick(pools.ranges);
      for (let n = 1 + r.below(4); n > 0; n--) out += String.fromCodePoint(a + r.below(b - a + 1));
    } else if (kind < 12) {
      const space = pick(pools.space);
      out += space.repeat(1 + r.below(4));
    } else if (kind < 13) {
      out += pick(pools.words);
      const mark = pick(pools.combining);
      out += mark.repeat(1 + r.below(2));
      out += pick(pools.words);
    } else if (kind < 14) out += pick(pools.special);
    else if (kind < 15) {
      const word = pick(pools.words);
      out += r.below(2) ? word.toUpperCase() : String(r.below(1000000));
    } else {
      const word = pick(pools.words);
      out += word.repeat(1 + r.below(30));
    }
    if (r.below(3)) out += " ";
  }
  return out;
}
