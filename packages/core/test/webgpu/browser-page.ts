/** What the browser test runs inside the page. */
import { grad, layerNorm, scaledDotProductAttention, type Tensor, tensor, useDevice } from "@vlm/core";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { difference, expected, inputsOf, runOn } from "../wasm/compare.ts";
import { randomContract, randomLoop } from "./random.ts";

/** Differences between random kernels on the page's device and the interpreter. */
export async function randomKernels(seeds: readonly number[]): Promise<{ adapter: string; wrong: string[] }> {
  const backend = await createWebGpuBackend();
  const wrong: string[] = [];
  for (const seed of seeds) {
    for (const make of [randomLoop, randomContract]) {
      const { schedule } = make(seed);
      if (schedule.buffers.length > 8) continue;
      const inputs = inputsOf(schedule, seed);
      const problem = difference(schedule, await runOn(backend, schedule, inputs), expected(schedule, inputs));
      if (problem) wrong.push(`${schedule.kernels[0]!.name}: ${problem}`);
    }
  }
  const adapter = backend.info.name;
  await backend.dispose();
  return { adapter, wrong };
}

const ramp = (shape: readonly number[], step: number): Tensor =>
  tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * step)),
    { shape },
  );

/** A norm and an attention with gradients; the same numbers on every device. */
export async function attentionLoss(device: "webgpu" | "js"): Promise<number[][]> {
  await useDevice(device);
  const x = ramp([1, 2, 10, 8], 0.7);
  const w = ramp([8], 1.3);
  const h = layerNorm(x, { weight: w });
  const y = scaledDotProductAttention(h, h, x, { causal: true });
  const loss = y.square().sum();
  const [dx, dw] = grad(loss, [x, w]);
  return Promise.all([loss, dx!, dw!].map(async (each) => [...(await each.data())]));
}

/** The class of error after the application destroyed its own device. */
export async function afterDestroy(): Promise<string> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  const backend = await createWebGpuBackend({ device });
  const buffer = backend.allocate("f32", 16);
  device.destroy();
  return backend.read(buffer).then(
    () => "no error",
    (error: Error) => error.name,
  );
}

export { conformance } from "./browser-conformance.ts";
