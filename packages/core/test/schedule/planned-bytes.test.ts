/** Gradients of products take memory as their operands do: no plan holds a value of rows × sum × columns elements. */
import {
  conv2d,
  type Device,
  embedding,
  grad,
  realize,
  scaledDotProductAttention,
  type Tensor,
  tensor,
  useDevice,
  zeros,
} from "@vlm/core";
import { expect, test } from "vitest";
import type { Schedule } from "../../src/ir/kernel.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";
import { planMemory } from "../../src/schedule/memory.ts";

/** A device that plans like wasm and computes nothing. */
function planner(): { device: Device; schedules: Schedule[] } {
  const schedules: Schedule[] = [];
  const device = schedulingDevice({
    name: "planner",
    maxKernelBuffers: 64,
    allocate: (dtype, size) => ({ dtype, size, bytes: 4 * size }),
    free() {},
    write() {},
    read: async ({ size }) => new Float32Array(size),
    async prepare(schedule) {
      schedules.push(schedule);
      return { schedule, dispose() {} };
    },
    run: async () => {},
    memory: () => ({ bytes: 0, buffers: 0, peak: 0 }),
    dispose: async () => {},
  });
  return { device, schedules };
}

const input = (...shape: number[]): Tensor => zeros(shape).add(1);
const [M, K, N] = [61, 67, 71];

const CASES: [name: string, operands: () => Tensor[], fn: (...x: Tensor[]) => Tensor][] = [
  ["a product", () => [input(M, K), input(K, N)], (a, b) => a!.matmul(b!)],
  ["a product of transposes", () => [input(K, M), input(N, K)], (a, b) => a!.transpose().matmul(b!.transpose())],
  ["products with one right side", () => [input(3, M, K), input(K, N)], (a, b) => a!.matmul(b!)],
  ["products with one left side", () => [input(M, K), input(3, K, N)], (a, b) => a!.matmul(b!)],
  ["a layer", () => [input(M, K), input(N, K), input(N)], (x, w, b) => x!.matmul(w!.transpose()).add(b!).gelu()],
  ["a vector by a matrix", () => [input(1, K), input(K, N)], (a, b) => a!.matmul(b!)],
  ["a convolution", () => [input(2, 8, 15, 15), input(16, 8, 3, 3)], (x, w) => conv2d(x!, w!, { padding: 1 })],
  ["attention", () => [1, 2, 3].map(() => input(2, 4, 33, 16)), (q, k, v) => scaledDotProductAttention(q!, k!, v!)],
  [
    "a lookup",
    () => [input(97, 13)],
    (table) =>
      embedding(
        tensor(
          new Int32Array(50).map((_, i) => i % 97),
          { dtype: "i32" },
        ),
        table!,
      ),
  ],
];

test.each(CASES)("%s, its gradients and theirs", async (_name, operands, fn) => {
  const { device, schedules } = planner();
  await useDevice(device);
  const x = operands();
  await realize(...x);
  const output = fn(...x);
  const first = grad(output.square().sum(), x);
  const second = grad(
    first.map((dx) => dx.square().sum()).reduce((a, b) => a.add(b)),
    x,
  );
  const largest = Math.max(output.size, ...x.map(({ size }) => size), scores(x));
  await realize(output, ...first, ...second);
  const schedule = schedules.at(-1)!;
  for (const { size, role } of schedule.buffers) expect(size, role).toBeLessThanOrEqual(largest);
  // What lives at one time: a handful of values of the operands' sizes.
  expect(planMemory(schedule, 64).bytes).toBeLessThanOrEqual(16 * 4 * largest);
});

/** Attention's matrix of weights, which a device without an attention kernel holds. */
const scores = (x: readonly Tensor[]): number => (x[0]!.rank === 4 && x.length === 3 ? 2 * 4 * 33 * 33 : 0);
