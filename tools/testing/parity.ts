/** Comparing a model with what another library computed: fixtures made by tools/reference. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { type DeviceName, type Tensor, zeros } from "../../packages/core/src/index.ts";
import { bytesSource, type ModelSource, readTensors, safetensorsBytes } from "../../packages/weights/src/index.ts";
import { skipAllowed } from "./gpu.mjs";

/** Devices that parity is tested on; others by `VLM_TEST_DEVICES=js`. */
export const parityDevices = (process.env.VLM_TEST_DEVICES ?? `wasm${skipAllowed("webgpu") ? "" : ",webgpu"}`)
  .split(",")
  .filter(Boolean) as DeviceName[];

/** Inputs, intermediates, outputs and gradients of a fixture, by name. */
export async function readExpected(folder: string): Promise<(name: string) => Tensor> {
  const tensors = await readTensors(path.join(folder, "expected.safetensors"));
  return (name) => {
    const found = tensors.get(name);
    if (!found) throw new Error(`${folder} expects no "${name}"; it has ${[...tensors.keys()].join(", ")}`);
    return found;
  };
}

/** max |a − b| / max |b|, and infinity for NaN or another shape. */
export async function relativeError(actual: Tensor, expected: Tensor): Promise<number> {
  if (actual.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  const [a, b] = [await actual.data(), await expected.data()];
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    size = Math.max(size, Math.abs(b[i]!));
    if (!Number.isFinite(a[i])) return Number.POSITIVE_INFINITY;
  }
  return size === 0 ? difference : difference / size;
}

/**
 * The expected gradients in the guise of a checkpoint: loaded by the same loader, each parameter of a second model then
 * holds the gradient of the loss by that parameter. What has no gradient is 0.
 */
export async function gradientCheckpoint(folder: string, weights: string): Promise<ModelSource> {
  const values = await readTensors(path.join(folder, weights));
  const expected = await readTensors(path.join(folder, "expected.safetensors"));
  const gradients = [...values].map(
    ([key, { shape, dtype }]) => [key, expected.get(`grad.${key}`) ?? zeros(shape, dtype)] as const,
  );
  const bytes = await safetensorsBytes(gradients);
  return {
    name: `gradients of ${path.basename(folder)}`,
    list: async () => [weights, "config.json", "open_clip_config.json"],
    async open(name) {
      if (name === weights) return bytesSource(bytes, name);
      try {
        return bytesSource(readFileSync(path.join(folder, name)), name);
      } catch (cause) {
        throw Object.assign(new Error(`no ${name}`, { cause }), { code: "ENOENT" });
      }
    },
  };
}
