/** A function's value and gradient. */
export type Evaluated = { value: number; gradient: Float64Array };

export type LbfgsOptions = {
  /** Default 1000. */
  iterations?: number;
  /** Ends when no element of the gradient is larger. Default 1e-5. */
  tolerance?: number;
  /** Steps remembered. Default 10. */
  memory?: number;
};

export type LbfgsResult = { x: Float64Array; value: number; iterations: number; converged: boolean };

/**
 * Limited-memory BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5) with backtracking until the decrease is
 * sufficient (algorithm 3.1). Steps of negative curvature are not remembered.
 */
export async function lbfgs(
  f: (x: Float64Array) => Promise<Evaluated>,
  start: Float64Array,
  { iterations = 1000, tolerance = 1e-5, memory = 10 }: LbfgsOptions = {},
): Promise<LbfgsResult> {
  let x = start;
  let { value, gradient } = await f(x);
  const steps: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    if (gradient.every((g) => Math.abs(g) <= tolerance)) return { x, value, iterations: iteration, converged: true };
    const direction = descent(gradient, steps);
    const slope = dot(gradient, direction);
    let length = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    let next: Float64Array;
    let at: Evaluated;
    do {
      next = plus(x, length, direction);
      at = await f(next);
      // Also false for NaN: the step is halved until the function is defined.
      if (at.value <= value + 1e-4 * length * slope) break;
      length /= 2;
    } while (length > 1e-10);
    // No decrease that the numbers can show: as good as it gets.
    if (!(at.value < value)) return { x, value, iterations: iteration, converged: false };
    const s = plus(next, -1, x);
    const y = plus(at.gradient, -1, gradient);
    const curvature = dot(s, y);
    if (curvature > 1e-12 * dot(y, y)) steps.push({ s, y, rho: 1 / curvature });
    if (steps.length > memory) steps.shift();
    [x, value, gradient] = [next, at.value, at.gradient];
  }
  return { x, value, iterations, converged: false };
}

/** −H·gradient by the two loops. */
function descent(
  gradient: Float64Array,
  steps: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  let q: Float64Array = gradient.slice();
  const alphas: number[] = [];
  for (let i = steps.length - 1; i >= 0; i--) {
    const { s, y, rho } = steps[i]!;
    alphas[i] = rho * dot(s, q);
    q = plus(q, -alphas[i]!, y);
  }
  const last = steps.at(-1);
  if (last) q = q.map((v) => v / (last.rho * dot(last.y, last.y)));
  for (const [i, { s, y, rho }] of steps.entries()) q = plus(q, alphas[i]! - rho * dot(y, q), s);
  return q.map((v) => -v);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** a + factor·b. */
const plus = (a: Float64Array, factor: number, b: Float64Array): Float64Array => a.map((v, i) => v + factor * b[i]!);
