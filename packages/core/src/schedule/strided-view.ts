/** Views as offset and strides, for hand-written kernels that read them where they lie. */
import type { Program } from "../graph/program.ts";
import { symbolic } from "../ir/index-algebra.ts";
import { axis, flatten, type Linear, range, strideOf } from "../ir/linear.ts";
import type { StridedView } from "../op.ts";
import { sizeOf } from "../shape.ts";

/** The node below a chain of views and where the elements lie in it; null if it is no view, or one without strides. */
export function stridedView(
  program: Program,
  resolve: (at: number) => number,
  top: number,
): { base: number; view: StridedView } | null {
  let at = resolve(top);
  const { shape } = program.nodes[at]!;
  let index: readonly Linear[] = shape.map((size, i) => axis(i, size));
  for (let node = program.nodes[at]!; node.leaf < 0 && node.op.kind === "view"; node = program.nodes[at]!) {
    at = resolve(node.inputs[0]!);
    const input = program.nodes[at]!.shape;
    const { index: inner, conditions = [] } = node.op.map(symbolic, index, input, node.shape, node.attributes);
    for (const condition of conditions) {
      const { min, max } = range(condition.index);
      if (min < condition.low || max >= condition.high) return null;
    }
    index = inner;
  }
  if (at === resolve(top)) return null;
  const base = program.nodes[at]!.shape;
  const position = flatten(index, base);
  if (!position.terms.every(({ atom }) => atom.kind === "axis")) return null;
  const strides = shape.map((_, i) => strideOf(position, i)!);
  return { base: at, view: { offset: position.constant, strides, size: sizeOf(base) } };
}
