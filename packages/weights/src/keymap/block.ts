import type { HostData } from "@vlm/core";

/** A dense block of elements on the host, row-major; f16 and bf16 as their stored bits. */
export type Block = { readonly shape: readonly number[]; readonly data: HostData };

/** Stands for data where only shapes are asked for. */
const OUTLINE: HostData = new Float32Array(0);

/** A block of which only the shape is known, to learn what an expression makes of it. */
export const outline = (shape: readonly number[]): Block => ({ shape, data: OUTLINE });

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

const like = (data: HostData, size: number): HostData => new (data.constructor as new (n: number) => HostData)(size);

/** The elements with axes in another order: axis k of the result is axis `order[k]` of the block. */
export function permuteBlock({ shape, data }: Block, order: readonly number[]): Block {
  const to = order.map((axis) => shape[axis]!);
  if (data === OUTLINE) return outline(to);
  const out = like(data, data.length);
  const strides = order.map((axis) => sizeOf(shape.slice(axis + 1)));
  const index = new Array<number>(to.length).fill(0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from]!;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < to[axis]!) break;
      from -= strides[axis]! * to[axis]!;
      index[axis] = 0;
    }
  }
  return { shape: to, data: out };
}

/** Blocks joined along an axis. All but that axis agree. */
export function concatBlocks(blocks: readonly Block[], axis: number): Block {
  const first = blocks[0]!;
  const total = blocks.reduce((sum, block) => sum + block.shape[axis]!, 0);
  const shape = first.shape.map((n, k) => (k === axis ? total : n));
  const outer = sizeOf(shape.slice(0, axis));
  const inner = sizeOf(shape.slice(axis + 1));
  const data = like(first.data, sizeOf(shape));
  let offset = 0;
  for (const block of blocks) {
    const run = block.shape[axis]! * inner;
    for (let row = 0; row < outer; row++) {
      data.set(block.data.subarray(row * run, (row + 1) * run), row * total * inner + offset);
    }
    offset += run;
  }
  return { shape, data };
}

/** The rows [begin, end) of an axis. */
export function sliceBlock({ shape, data }: Block, axis: number, begin: number, end: number): Block {
  const outer = sizeOf(shape.slice(0, axis));
  const inner = sizeOf(shape.slice(axis + 1));
  const to = shape.map((n, k) => (k === axis ? end - begin : n));
  if (data === OUTLINE) return outline(to);
  // Along the first axis it is a view: nothing is copied.
  if (outer === 1) return { shape: to, data: data.subarray(begin * inner, end * inner) };
  const run = (end - begin) * inner;
  const out = like(data, sizeOf(to));
  for (let row = 0; row < outer; row++) {
    const at = (row * shape[axis]! + begin) * inner;
    out.set(data.subarray(at, at + run), row * run);
  }
  return { shape: to, data: out };
}
