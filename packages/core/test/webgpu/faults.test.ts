import { describe, expect, it } from "vitest";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { isVlmError } from "../../src/errors.ts";
import { type Fault, faultyDevice } from "./faulty-device.ts";
import { chain } from "./schedules.ts";

const N = 8;
const data = Float32Array.from({ length: N * N }, (_, i) => i % 7);
const want = Array.from({ length: N }, (_, r) => {
  let sum = 0;
  for (let i = 0; i < N; i++) sum += 2 * data[r * N + i]!;
  return sum * 2 * data[r]!;
});

/** Prepares, writes, runs twice, reads; gives everything back, whatever happens. */
async function scenario(backend: WebGpuBackend): Promise<number[]> {
  const buffers = new Set<ReturnType<WebGpuBackend["allocate"]>>();
  const allocate = (size: number) => {
    const buffer = backend.allocate("f32", size);
    buffers.add(buffer);
    return buffer;
  };
  const dispose: (() => void)[] = [];
  try {
    const executable = await backend.prepare(chain(N));
    dispose.push(() => executable.dispose());
    const x = allocate(N * N);
    const y = allocate(N);
    backend.write(x, data);
    const runs = [backend.run(executable, [x], [y]), backend.run(executable, [x], [y])];
    const [result] = await Promise.all([backend.read(y), ...runs]);
    return [...result!];
  } finally {
    for (const buffer of buffers) backend.free(buffer);
    for (const each of dispose) each();
  }
}

const patient = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error("hangs")), 5000).unref?.();
    }),
  ]);

const classes: Record<Fault, readonly string[]> = {
  throws: ["GpuValidationError"],
  validation: ["GpuValidationError", "ShaderCompileError"],
  memory: ["OutOfMemoryError"],
  lost: ["DeviceLostError"],
  map: ["GpuValidationError"],
};

describe.each(Object.keys(classes) as Fault[])("call k fails: %s", (fault) => {
  it("tells the right error, hangs nowhere, leaks nothing, and the next call works", async () => {
    let k = 1;
    for (; k < 200; k++) {
      const faulty = await faultyDevice(fault, k);
      const backend = await createWebGpuBackend({ device: faulty.device, software: true, tune: false });
      const outcome = await patient(scenario(backend)).catch((error: unknown) => error);
      if (!faulty.happened()) {
        expect(outcome).toEqual(want);
        await backend.dispose();
        expect(faulty.buffers()).toBe(0);
        faulty.destroy();
        break;
      }
      // A fault may go unnoticed only if the result is right all the same.
      if (Array.isArray(outcome)) expect(outcome).toEqual(want);
      else {
        if (!isVlmError(outcome)) throw outcome;
        expect(classes[fault]).toContain(outcome.name);
      }
      const again = await patient(scenario(backend)).catch((error: unknown) => error);
      if (fault === "lost") expect((again as Error).name).toBe("DeviceLostError");
      // A stray error may be told to the call after it; then all is well.
      else if (!Array.isArray(again)) expect(await patient(scenario(backend))).toEqual(want);
      else expect(again).toEqual(want);
      expect(backend.memory().buffers).toBe(0);
      await backend.dispose();
      expect(faulty.buffers()).toBe(0);
      faulty.destroy();
    }
    expect(k).toBeGreaterThan(fault === "map" ? 1 : 10);
    expect(k).toBeLessThan(200);
  });
});
