/** Random graphs of 20 ops, for tests of schedules and devices. */
import * as vlm from "../../src/index.ts";
import { grad, type Tensor } from "../../src/index.ts";
import { make, numbers, sequence, sizeOf } from "./harness.ts";

type Next = () => number;
/** Makes a tensor from earlier ones; null when it does not apply. Results stay of the order of 1. */
type Step = (x: Tensor, y: Tensor, next: Next) => Tensor | null;

const pick = <T>(list: readonly T[], next: Next): T => list[Math.floor(next() * list.length)]!;
const below = (n: number, next: Next): number => Math.floor(next() * n);

const STEPS: readonly Step[] = [
  (x) => x.tanh(),
  (x) => x.sigmoid(),
  (x) => x.sin(),
  (x) => x.neg(),
  (x) => x.mul(0.5).exp().tanh(),
  (x) => x.square().add(1).log(),
  (x) => x.gelu(),
  (x) => x.abs().add(0.5).rsqrt(),
  (x, y) => (sameShape(x, y) ? x.add(y).mul(0.5) : null),
  (x, y) => (sameShape(x, y) ? x.mul(y).tanh() : null),
  (x, y) => (sameShape(x, y) ? x.maximum(y) : null),
  (x, y) => (sameShape(x, y) ? x.gt(y).where(x, y.sin()) : null),
  (x, y, next) => (x.rank > 0 && sameShape(x, y) && x.size < 600 ? vlm.concat([x, y], below(x.rank, next)) : null),
  (x) => (x.rank > 1 ? x.transpose() : null),
  (x) => x.reshape([-1]),
  (x) => (x.size % 6 === 0 && x.size > 0 ? x.reshape([x.size / 6, 2, 3]) : null),
  (x, _y, next) => (x.rank > 0 ? x.flip([below(x.rank, next)]) : null),
  (x, _y, next) => {
    const axis = below(x.rank, next);
    if (x.rank === 0 || x.shape[axis]! < 3) return null;
    return x.slice(...x.shape.map((_, i): vlm.Slice => (i === axis ? [1, null, 2] : null)));
  },
  (x, _y, next) =>
    x.rank > 0 && x.size < 600
      ? x.pad(
          x.shape.map((_, i) => (i === 0 ? [1, below(3, next)] : [0, 1])),
          0.5,
        )
      : null,
  (x, _y, next) => (x.size < 200 ? vlm.expand(x, [2 + below(2, next), ...x.shape]) : null),
  (x, _y, next) => (x.rank > 0 ? x.mean(below(x.rank, next)) : null),
  (x, _y, next) => (x.rank > 0 && x.size > 0 ? x.max(below(x.rank, next)) : null),
  (x, _y, next) => (x.rank > 0 ? x.sum(below(x.rank, next), { keepDims: true }).tanh() : null),
  (x, _y, next) => (x.rank > 0 ? x.softmax(below(x.rank, next)) : null),
  (x) => (x.rank > 0 && x.shape.at(-1)! > 1 ? vlm.layerNorm(x).tanh() : null),
  (x, y) => (x.rank > 1 && y.rank === 2 && x.shape.at(-1) === y.shape[0] ? x.matmul(y).tanh() : null),
  (x) => (x.rank === 2 && x.size < 400 ? x.matmul(x.transpose()).tanh() : null),
  (x, _y, next) =>
    x.rank > 0 && x.shape[0]! > 0 ? x.take(make([0, x.shape[0]! - 1, below(x.shape[0]!, next)], [3], "i32")) : null,
  (x) => (x.rank > 0 ? x.cumsum().tanh() : null),
];

const sameShape = (x: Tensor, y: Tensor): boolean => x.shape.join() === y.shape.join();

/** The graph of a seed; `each` sees every new tensor. Outputs are the last ones, and perhaps gradients. */
export async function grow(seed: number, each: (x: Tensor) => Promise<void> = async () => {}): Promise<Tensor[]> {
  const next = sequence(seed);
  const shapes = [[6, 5], [5], [2, 3, 4], [6, 5], [4, 6]];
  const inputs = shapes.map((shape) => make(numbers(next, "f32", sizeOf(shape), -1, 1), shape, "f32"));
  const made = [...inputs];
  while (made.length < inputs.length + 20) {
    const x = pick(made.slice(-8), next);
    const partners = made.filter((y) => y !== x && sameShape(x, y));
    const y = partners.length > 0 && next() < 0.7 ? pick(partners, next) : pick(made, next);
    const result = pick(STEPS, next)(x, y, next);
    if (!result || result.size > 2000 || result.size === 0 || result.rank > 4) continue;
    await each(result);
    made.push(result);
  }
  const outputs = made.slice(-3);
  if (seed % 2 === 0) return outputs;
  const loss = outputs.map((y) => y.mean()).reduce((a, b) => a.add(b));
  return [...outputs, ...grad(loss, inputs.slice(0, 3))];
}
