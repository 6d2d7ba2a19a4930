/** Kernels without reductions: one thread computes one element, or four neighbouring ones. */
import type { BufferSpec, Store } from "../../../ir/kernel.ts";
import { axis, flatten } from "../../../ir/linear.ts";
import { AccessMap } from "./access.ts";
import { Body } from "./body.ts";
import { indent, mainHead, product, splitPosition } from "./grid.ts";
import { perWord, type Rendered, Shader } from "./shader.ts";
import { isRun, SCALAR, type VectorAxis } from "./steps.ts";
import type { Target } from "./target.ts";

const THREADS = 128;
const LANES = 4;

/** Renders stores over a box of loop variables 0 … sizes.length − 1. */
export function renderMap(
  name: string,
  sizes: readonly number[],
  stores: readonly Store[],
  buffers: readonly BufferSpec[],
  target: Target,
): Rendered {
  const total = product(sizes);
  const { vector, flat } = chooseLanes(sizes, stores, buffers);
  const shader = new Shader(target.maxBinding);
  const access = new AccessMap(buffers);
  for (const store of stores) access.store(store, vector, flat);
  access.declare(shader);

  const threads = Math.ceil(total / vector.lanes);
  const lines = [`let t = group * ${THREADS}u + lid;`, `if (t >= u32(${shader.integer(threads)})) { return; }`];
  let body: Body;
  if (flat) {
    const laneAxes = Array.from({ length: vector.lanes }, (_, lane) => {
      lines.push(`let t${lane} = t * ${vector.lanes}u + ${lane}u;`);
      return splitPosition(lines, `t${lane}`, sizes, 0, null, `v${lane}_`);
    });
    body = new Body({ shader, axes: laneAxes[0]!, laneAxes, vector });
  } else {
    const names = splitPosition(lines, "t", sizes, 0, vector);
    body = new Body({ shader, axes: names, vector });
  }
  const tail = total % vector.lanes !== 0;
  const guard = (lane: number): string | null =>
    tail && lane > 0 ? `t * ${vector.lanes}u + ${lane}u < u32(${shader.integer(total)})` : null;
  for (const store of stores) body.store(store, guard);
  const text = `${mainHead(THREADS)}\n${indent([...lines, ...body.lines], 2)}\n}\n`;
  return shader.finish(name, text, Math.ceil(threads / THREADS));
}

/**
 * Four lanes along the innermost axis where loads and stores are runs there. `flat`: four consecutive elements whatever
 * the axes, so that a packed word has one writer.
 */
function chooseLanes(
  sizes: readonly number[],
  stores: readonly Store[],
  buffers: readonly BufferSpec[],
): { vector: VectorAxis; flat: boolean } {
  const total = product(sizes);
  const last = sizes.findLastIndex((n) => n !== 1);
  if (last < 0) return { vector: SCALAR, flat: false };
  const packed = stores.some(({ buffer }) => perWord(buffers[buffer]!.dtype) > 1);
  const vector = { axis: last, lanes: LANES };
  const single = sizes.filter((n) => n !== 1).length === 1;
  // With one axis of any length, the last vector may end in the padding that every buffer has.
  const whole = (store: Store): boolean => isRun(store.index, vector) && buffers[store.buffer]!.size === total;
  const divides = sizes[last]! % LANES === 0;
  const runs = stores.every((store) => isRun(store.index, vector));
  if ((divides && runs) || (single && stores.every(whole))) {
    if (packed || total >= LANES * 2) return { vector, flat: false };
  }
  const position = flatten(
    sizes.map((n, i) => axis(i, n)),
    sizes,
  );
  const consecutive = stores.every(
    ({ buffer, index }) => index.key === position.key && buffers[buffer]!.size === total,
  );
  if (packed && consecutive) return { vector, flat: true };
  if (divides && stores.some((store) => isRun(store.index, vector))) return { vector, flat: false };
  return { vector: SCALAR, flat: false };
}
