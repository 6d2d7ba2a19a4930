/**
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a keyed bijection of
 * 64-bit counters. The counter's first word is 0 here; two ops give the two words of the result.
 */
import type { Expr } from "../ir/expr.ts";
import type { ElementwiseOp } from "../op.ts";
import { decomposed, type ScalarMath } from "./decompose.ts";
import { defineTernary } from "./define.ts";

/** Rotation distances of eight rounds (table 2 of the paper), repeated. */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

/** Both words of Threefry-2x32 for a key and a counter. */
export function threefry2x32(
  [key0, key1]: readonly [number, number],
  [counter0, counter1]: readonly [number, number],
): [number, number] {
  const keys = [key0, key1, key0 ^ key1 ^ PARITY];
  let a = (counter0 + key0) | 0;
  let b = (counter1 + key1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = ROTATIONS[round % 8]!;
    a = (a + b) | 0;
    b = ((b << r) | (b >>> (32 - r))) ^ a;
    if (round % 4 !== 3) continue;
    const block = (round + 1) / 4;
    a = (a + keys[block % 3]!) | 0;
    b = (b + keys[(block + 1) % 3]! + block) | 0;
  }
  return [a >>> 0, b >>> 0];
}

function threefryOf(m: ScalarMath, key0: Expr, key1: Expr, counter: Expr): [Expr, Expr] {
  const keys = [key0, key1, m.xor(m.xor(key0, key1), PARITY)];
  let a = key0;
  let b = m.add(counter, key1);
  for (let round = 0; round < 20; round++) {
    const r = ROTATIONS[round % 8]!;
    a = m.add(a, b);
    b = m.xor(m.or(m.shl(b, r), m.shr(b, 32 - r)), a);
    if (round % 4 !== 3) continue;
    const block = (round + 1) / 4;
    a = m.add(a, keys[block % 3]!);
    b = m.add(m.add(b, keys[(block + 1) % 3]!), block);
  }
  return [a, b];
}

/** Each op brings its own copy: helpers of different ops meet in one shader. */
const wgslThreefry = (name: string, result: string): string => `fn ${name}(k: vec2<u32>, counter: u32) -> u32 {
  var keys = array<u32, 3>(k.x, k.y, k.x ^ k.y ^ ${PARITY}u);
  var rotations = array<u32, 8>(${ROTATIONS.map((r) => `${r}u`).join(", ")});
  var a = k.x;
  var b = counter + k.y;
  for (var round = 0u; round < 20u; round++) {
    let r = rotations[round & 7u];
    a += b;
    b = ((b << r) | (b >> (32u - r))) ^ a;
    if ((round & 3u) == 3u) {
      let block = (round + 1u) / 4u;
      a += keys[block % 3u];
      b += keys[(block + 1u) % 3u] + block;
    }
  }
  return ${result};
}`;

const defineWord = (name: string, word: 0 | 1 | "both"): ElementwiseOp =>
  defineTernary({
    name,
    takes: "integer",
    gives: "u32",
    eval([key0, key1, counter]) {
      const [a, b] = threefry2x32([key0!, key1!], [0, counter!]);
      return word === "both" ? (a ^ b) >>> 0 : word === 0 ? a : b;
    },
    wgsl([key0, key1, counter]) {
      return `op_${name}(vec2<u32>(${key0}, ${key1}), ${counter})`;
    },
    wgslHelper: wgslThreefry(`op_${name}`, word === "both" ? "a ^ b" : word === 0 ? "a" : "b"),
    decompose: decomposed((m, key0, key1, counter) => {
      const [a, b] = threefryOf(m, key0!, key1!, counter!);
      return word === "both" ? m.xor(a, b) : word === 0 ? a : b;
    }),
    test: { domain: [[0, 4e9]], ulp: 0, dtypes: ["u32"] },
    cost: 60,
  });

/** Word 0 of the cipher of (0, counter); arguments: key word 0, key word 1, counter (u32). */
export const threefryHighOp: ElementwiseOp = defineWord("threefryHigh", 0);
/** Word 1 of the same. */
export const threefryLowOp: ElementwiseOp = defineWord("threefryLow", 1);
/** The exclusive or of both words: 32 random bits per counter, JAX's choice. */
export const threefryBitsOp: ElementwiseOp = defineWord("threefryBits", "both");
