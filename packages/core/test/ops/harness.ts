/** What the conformance tests share: devices, deterministic samples, views of them, comparisons, gradient checks. */
import { expect } from "vitest";
import { type DType, isFloat } from "../../src/dtype.ts";
import { type DeviceName, fromHost, grad, realize, type Tensor, useDevice } from "../../src/index.ts";
import { firstOff, make, numbers, seedOf, sequence } from "./samples.ts";

export * from "./samples.ts";

/** Devices under test: `VLM_TEST_DEVICES=js,wasm,webgpu`; the reference and wasm by default. */
export const DEVICES = (process.env.VLM_TEST_DEVICES ?? "js,wasm").split(",").filter(Boolean) as DeviceName[];

/** Devices whose results are compared with the reference's. */
export const OTHERS = DEVICES.filter((name) => name !== "js");

/** Those and webgpu, for suites of which a software GPU can do a sample in about a minute. */
export const WITH_GPU: readonly DeviceName[] = process.env.VLM_TEST_DEVICES ? OTHERS : [...OTHERS, "webgpu"];

/** Elements of a tensor as the reference device holds them, in float64. */
export async function float64(x: Tensor): Promise<Float64Array> {
  await realize(x);
  const buffer = (x.node.storage as unknown as { buffer: { data: Float64Array } | null }).buffer;
  return buffer ? buffer.data : Float64Array.from(await x.data());
}

/** Fails with the first element that is too far off. */
export function expectNear(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  dtype: DType,
  tolerance: { ulp: number; absolute: number },
  what: string,
): void {
  const off = firstOff(got, want, dtype, tolerance);
  if (off !== null) expect.fail(`${what}: ${off}`);
}

/** A scalar function of float tensors. */
export type Loss = (inputs: readonly Tensor[]) => Tensor;

/**
 * Compares gradients with central differences along random directions, in float64 on the reference device: for a step d,
 * L(x + d) − L(x − d) = 2·g·d up to the third order.
 */
export async function gradcheck(
  name: string,
  loss: Loss,
  points: readonly { values: readonly number[]; shape: readonly number[] }[],
  options: { step?: number; tolerance?: number; directions?: number } = {},
): Promise<void> {
  await useDevice("js");
  const { step = 1e-3, tolerance = 2e-4, directions = 2 } = options;
  const next = sequence(seedOf(name) + 7);
  const tensorOf = (values: Float32Array, i: number): Tensor => fromHost(values, points[i]!.shape, "f32");
  const centre = points.map((p, i) => tensorOf(Float32Array.from(p.values), i));
  const gradients = grad(loss(centre), centre);
  const plans: { forward: Tensor; backward: Tensor; moves: Float64Array[] }[] = [];
  for (let k = 0; k < directions; k++) {
    const moved = points.map((p) => {
      const direction = p.values.map(() => step * (2 * next() - 1));
      const up = Float32Array.from(p.values, (v, i) => v + direction[i]!);
      const down = Float32Array.from(p.values, (v, i) => v - direction[i]!);
      return { up, down, move: Float64Array.from(up, (v, i) => v - down[i]!) };
    });
    plans.push({
      forward: loss(moved.map((m, i) => tensorOf(m.up, i))),
      backward: loss(moved.map((m, i) => tensorOf(m.down, i))),
      moves: moved.map((m) => m.move),
    });
  }
  await realize(...gradients, ...plans.flatMap((p) => [p.forward, p.backward]));
  const values = await Promise.all(gradients.map(float64));
  for (const { forward, backward, moves } of plans) {
    const change = (await float64(forward))[0]! - (await float64(backward))[0]!;
    let predicted = 0;
    let scale = 0;
    moves.forEach((move, i) => {
      move.forEach((d, j) => {
        const part = d * values[i]![j]!;
        predicted += part;
        scale += Math.abs(part);
      });
    });
    const limit = tolerance * scale + 1e-7 * step;
    if (!(Math.abs(change - predicted) <= limit)) {
      expect.fail(`${name}: the loss changes by ${change}, the gradient says ${predicted} (± ${limit})`);
    }
  }
}

/** Σ c·y over all float outputs, with fixed random c: one number that depends on every element. */
export function weighted(outputs: readonly Tensor[], seed: number): Tensor {
  const next = sequence(seed);
  const sums = outputs
    .filter((y) => isFloat(y.dtype))
    .map((y) => y.mul(make(numbers(next, "f32", y.size, -1, 1), y.shape, "f32")).sum());
  return sums.reduce((a, b) => a.add(b));
}

/** The loss Σ u·∂L/∂x with fixed random u: its gradient is a second-order one. */
export const gradientLoss =
  (loss: Loss, seed: number): Loss =>
  (inputs) =>
    weighted(grad(loss(inputs), inputs), seed);
