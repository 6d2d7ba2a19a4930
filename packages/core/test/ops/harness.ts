/** What the conformance tests share: devices, deterministic samples, views of them, comparisons, gradient checks. */
import { expect } from "vitest";
import { type DType, isFloat } from "../../src/dtype.ts";
import {
  type Device,
  enableRelaxedSimd,
  fromHost,
  grad,
  openDevice,
  realize,
  type Tensor,
  useDevice,
} from "../../src/index.ts";
import { guardedDevice } from "./guarded-device.ts";
import { FULL, firstOff, make, numbers, readAll, seedOf, sequence } from "./samples.ts";

export * from "./samples.ts";

const open = {
  js: () => openDevice("js"),
  /** Two threads; fused multiply-add where the engine has it. */
  wasm: async () => {
    await enableRelaxedSimd();
    return openDevice("wasm", { threads: 2 });
  },
  /** One thread, and no fused multiply-add. */
  "wasm-plain": () => openDevice("wasm", { threads: 1, relaxed: false }),
  webgpu: () => openDevice("webgpu"),
};

/** A device, or a way to run it. */
export type TestDevice = keyof typeof open;

const chosen = process.env.VLM_TEST_DEVICES ?? Object.keys(open).join();

/** Devices under test: all, or `VLM_TEST_DEVICES=js,wasm,wasm-plain,webgpu`. */
export const DEVICES = chosen.split(",").filter(Boolean) as TestDevice[];

/** Devices whose results are compared with the reference's. */
export const OTHERS = DEVICES.filter((name) => name !== "js");

/** Part of the cases where all of them are too slow (the software GPU compiles for long) or were seen elsewhere. */
export const sampled = <T>(device: TestDevice, cases: readonly T[], every = 4): readonly T[] =>
  FULL || device === "js" || device === "wasm" ? cases : cases.filter((_, i) => i % every === 0);

const guarded = new Map<TestDevice, Promise<Device>>();

/** Makes the device the default, with poison in its buffers and guards behind them. */
export async function use(name: TestDevice): Promise<void> {
  let device = guarded.get(name);
  if (!device) guarded.set(name, (device = open[name]().then((real) => (name === "js" ? real : guardedDevice(real)))));
  await useDevice(await device);
}

/** Builds the tensors anew on each device (js first) and reads them, all in one plan per device. */
export async function onDevice(name: TestDevice, build: () => readonly Tensor[]): Promise<ArrayLike<number>[]> {
  await use(name);
  return readAll(build());
}

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
  await use("js");
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
