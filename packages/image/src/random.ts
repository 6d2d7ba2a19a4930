import { VlmError } from "@vlm/core";

/**
 * A key of random numbers: two 32-bit words, also written as a pair or as one seed. The same key gives the same
 * numbers on every machine; there is no hidden state, so order and number of workers do not matter.
 */
export type RandomKey = number | readonly [number, number] | { readonly k0: number; readonly k1: number };

type Words = readonly [k0: number, k1: number];

const PARITY = 0x1bd11bda;
const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** Threefry 2x32 with 20 rounds (Salmon et al. 2011): two random words from a key and a counter. */
export function threefry([k0, k1]: Words, c0: number, c1: number): [number, number] {
  const keys = [k0, k1, k0 ^ k1 ^ PARITY];
  let x = (c0 + k0) | 0;
  let y = (c1 + k1) | 0;
  for (let round = 0; round < 5; round++) {
    for (const r of ROTATIONS[round % 2]!) {
      x = (x + y) | 0;
      y = (y << r) | (y >>> (32 - r));
      y ^= x;
    }
    x = (x + keys[(round + 1) % 3]!) | 0;
    y = (y + keys[(round + 2) % 3]! + round + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
}

/** The two words of a key. @throws `ArgumentError` for anything else than whole numbers */
export function keyWords(key: RandomKey): Words {
  const [k0, k1] = typeof key === "number" ? splitSeed(key) : "k0" in key ? [key.k0, key.k1] : key;
  if (!Number.isInteger(k0) || !Number.isInteger(k1)) {
    throw new VlmError("ArgumentError", "IM_KEY", {
      what: "a random key is a whole number, or two 32-bit words",
      where: "random key",
      hint: "pass a seed such as 1, or a key made by random.key",
    });
  }
  return [k0 >>> 0, k1 >>> 0];
}

/** Seeds above 2^32 keep their upper bits. */
function splitSeed(seed: number): Words {
  return Number.isSafeInteger(seed) ? [Math.floor(seed / 2 ** 32) >>> 0, seed >>> 0] : [Number.NaN, 0];
}

/** A new key for part `index` of something: an epoch, a sample, a step of a recipe. */
export function foldKey(key: RandomKey, index: number): readonly [number, number] {
  return threefry(keyWords(key), index >>> 0, 0x5eed);
}

/** A number in [0, 1), the `index`-th of a key, with 32 random bits. */
export function uniform(key: RandomKey, index = 0): number {
  return threefry(keyWords(key), index >>> 0, 0)[0] / 2 ** 32;
}

/** A whole number from 0 to `below - 1`, the `index`-th of a key. */
export function randomInteger(key: RandomKey, below: number, index = 0): number {
  return Math.floor(uniform(key, index) * below);
}

/** The numbers 0 to `length - 1` in random order (Fisher and Yates). */
export function permutation(key: RandomKey, length: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = randomInteger(key, i + 1, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
