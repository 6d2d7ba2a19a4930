/** The same numbers for everybody: element i of a tensor is a hash of i and of the tensor's name, in TypeScript and in torch.py. */

/** A tensor that a program reads. Weights are constants of the program, inputs are given at each call. */
export type Spec = {
  name: string;
  role: "weight" | "input";
  shape: readonly number[];
  /** Floats are uniform in (−scale, scale) around `center`. */
  scale?: number;
  center?: number;
  /** Integers from 0 to ids − 2; the last of each row is ids − 1, as the end of a text is. */
  ids?: number;
};

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3: 32 good bits from 32 counted ones. */
function mix(x: number): number {
  let h = x;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Tensors made ahead of time, where making them must not be measured. */
export const made = new Map<string, Float32Array>();

export function floatsOf({ name, shape, scale = 1, center = 0 }: Spec): Float32Array {
  const ready = made.get(name);
  if (ready) return ready;
  const seed = hashOf(name);
  const values = new Float32Array(sizeOf(shape));
  for (let at = 0; at < values.length; at++) {
    values[at] = center + scale * ((mix((Math.imul(at, 0x9e3779b9) ^ seed) | 0) >>> 8) / 2 ** 23 - 1);
  }
  return values;
}

export function integersOf({ name, shape, ids = 2 }: Spec): Int32Array {
  const seed = hashOf(name);
  const values = new Int32Array(sizeOf(shape));
  const row = shape.at(-1) ?? 1;
  for (let at = 0; at < values.length; at++) {
    values[at] = at % row === row - 1 ? ids - 1 : (mix((Math.imul(at, 0x9e3779b9) ^ seed) | 0) >>> 8) % (ids - 1);
  }
  return values;
}
